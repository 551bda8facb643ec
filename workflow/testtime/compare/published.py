"""The numbers that the reproduced study published: for comparison, never results.

Source: Liu et al. (2025), arXiv 2502.06703, tables 3 to 6; see `workflow/resources/published/`.
"""

import pandas as pd

from testtime.errors import UserError
from testtime.study.layout import WORKFLOW
from testtime.study.vocabulary import CHAIN, TTS

FOLDER = WORKFLOW / "resources" / "published"
TABLES = ("table3_frontier", "table4_flops", "table5_gains", "table6_long_cot")


def read_published(table: str) -> pd.DataFrame:
    """One published table as printed; `policy` is the catalog's name of the model, or "".

    Raises:
        UserError: there is no such table.
    """
    if table not in TABLES:
        raise UserError(f"published table {table!r} is not known; allowed: {', '.join(TABLES)}")
    return pd.read_csv(FOLDER / f"{table}.csv", keep_default_na=False)


def published_accuracy(table: str) -> pd.DataFrame:
    """Accuracies of table 3 or 6, one row per model and dataset.

    Columns: group, model, policy, setting ("CoT" or "compute-optimal TTS"), dataset, published
    (a proportion). In table 6, whose settings are its groups, "TTS" is compute-optimal TTS.
    """
    rows = read_published(table)
    if "setting" not in rows:
        tts = rows["group"].str.contains("TTS")
        rows["setting"] = tts.map({True: TTS, False: CHAIN})
    keys = ["group", "model", "policy", "setting"]
    long = rows.melt(id_vars=keys, var_name="dataset", value_name="published")
    return long.assign(published=long["published"].astype(float) / 100)


def beside_published(rows: pd.DataFrame, table: str) -> pd.DataFrame:
    """Our rows (policy, setting, dataset, ...) with `published` if the paper has that model.

    A model that the paper lists twice for one setting (at another budget, or with another PRM)
    gets its first entry; the others are in the published table itself.
    """
    known = published_accuracy(table)
    known = known[known["policy"] != ""].drop_duplicates(["policy", "setting", "dataset"])
    keys = ["policy", "setting", "dataset"]
    return rows.merge(known[[*keys, "published"]], on=keys, how="left", validate="many_to_one")

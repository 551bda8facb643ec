"""Problems from the hub of datasets."""

import pandas as pd

from testtime import hub
from testtime.catalog import DatasetSpec
from testtime.errors import UserError
from testtime.problems.files import named


def read(spec: DatasetSpec) -> pd.DataFrame:
    """Download the dataset at its pinned revision, or find it in the cache.

    Raises:
        UserError: it cannot be had, or there is no such dataset, revision or split.
    """
    found = hub.find(spec.path, spec.revision, "dataset")
    from datasets import load_dataset

    # Without a network, what was fetched before is read as the folder that it is.
    local = found.folder is not None and not hub.is_reachable()
    source, revision = (str(found.folder), None) if local else (spec.path, spec.revision)
    try:
        rows = load_dataset(source, spec.subset, split=spec.split, revision=revision)
    except Exception as error:  # the library raises many kinds; each means "cannot be had"
        raise UserError(
            f"dataset {spec.name}: cannot load {spec.path} (revision {spec.revision}) from the "
            f"hub: {error}; check the network, or give a local file: source: file, path: ..."
        ) from error
    return named(rows.to_pandas(), spec)

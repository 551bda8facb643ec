"""Problems from the Hugging Face hub."""

import pandas as pd

from testtime.catalog import DatasetSpec
from testtime.errors import UserError
from testtime.problems.files import named


def read(spec: DatasetSpec) -> pd.DataFrame:
    """Download (or find in the local cache) the dataset at its pinned revision.

    Raises:
        UserError: the hub cannot be reached, or has no such dataset or revision.
    """
    from datasets import load_dataset

    try:
        rows = load_dataset(spec.path, spec.subset, split=spec.split, revision=spec.revision)
    except Exception as error:  # the library raises many kinds; each means "cannot be had"
        raise UserError(
            f"dataset {spec.name}: cannot load {spec.path} (revision {spec.revision}) from the "
            f"hub: {error}; check the network, or give a local file: source: file, path: ..."
        ) from error
    return named(rows.to_pandas(), spec)

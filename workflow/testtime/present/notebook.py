"""Running a notebook: on its inputs, kept with its outputs."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from testtime.data.store import atomic
from testtime.errors import UserError

FORMAT = 4
# What a notebook finds, in a cell before its first one: the name that scripts know, plain values.
GIVEN = """\
import json
from types import SimpleNamespace

snakemake = SimpleNamespace(**json.loads({text!r}))
snakemake.input, snakemake.params = map(
    lambda named: SimpleNamespace(**named), (snakemake.input, snakemake.params)
)
"""


def run_notebook(source: str | Path, executed: str | Path, given: Mapping[str, object]) -> None:
    """Run a notebook in this Python and keep it with its outputs, those before an error too.

    Args:
        source: the notebook.
        executed: where it is kept.
        given: input, params, config and output, as the rule has them; JSON values.

    Raises:
        UserError: a cell raised an error, or the notebook cannot be kept.
    """
    notebook = nbformat.read(source, as_version=FORMAT)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(GIVEN.format(text=json.dumps(given))))
    # This Python's own kernel, whatever others are installed; what both say is encrypted, as
    # machines are shared.
    kernel = AsyncKernelManager(
        kernel_name="python3",
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
        transport_encryption="auto",
    )
    client = NotebookClient(notebook, km=kernel, timeout=None)
    try:
        with tempfile.TemporaryDirectory() as settings:  # not the user's
            client.execute(cleanup_kc=True, env=os.environ | {"IPYTHONDIR": settings})
    except CellExecutionError as error:
        said = " ".join(error.evalue.split())
        known = error.ename == UserError.__name__
        raise UserError(said if known else f"{executed}: {error.ename}: {said}") from error
    except DeadKernelError as error:
        raise UserError(f"{executed}: its process has died, for want of memory perhaps") from error
    finally:
        with atomic(executed) as temporary:
            nbformat.write(notebook, temporary)

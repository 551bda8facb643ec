"""`testtime crate`: a finished study as a research object that others can check and rebuild."""

from pathlib import Path
from typing import Annotated

import typer

from testtime.cli.check import config_study
from testtime.errors import UserError


def crate(
    config: Annotated[
        list[Path] | None, typer.Argument(help="As --configfile; on top of config.yaml.")
    ] = None,
    *,
    output: Annotated[Path, typer.Option(help="A new folder, or a file that ends in .zip.")],
) -> None:
    """Pack a finished study as a Workflow Run RO-Crate: config, workflow, problems and results.

    Samples, scores and searches are left out, as are the profiles of schedulers and your own files
    of models, problems and imported samples. Of workflow/, envs/ and notebooks/ everything is
    packed, and logs name folders of your machine: look before you publish. Needs the package
    rocrate: pip install 'testtime[crate]'.

    Example: testtime crate workflow/studies/smoke.yaml --output smoke.zip
    """
    from testtime.present.crate import write_crate

    try:
        import rocrate  # noqa: F401
    except ImportError:
        raise UserError("package rocrate is missing: pip install 'testtime[crate]'") from None
    files = write_crate(config_study(config), output)
    print(f"{output}: {files} files")

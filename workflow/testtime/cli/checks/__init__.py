"""Whether a study can run: its models, datasets and the machine, looked at before hours are spent.

No weights are loaded, and nothing is asked of a network where everything is local.
"""

from testtime.cli.checks import datasets, machine, models
from testtime.cli.checks.models import Line
from testtime.study.study import Study

__all__ = ["Line", "check_study"]


def check_study(study: Study, *, here: bool = True) -> list[Line]:
    """Look at everything that a study needs.

    Args:
        study: a valid one.
        here: whether its jobs run on this machine; otherwise its GPUs, memory and engines are
            left out.

    Returns:
        One line per policy, PRM and dataset, then those about the machine.
    """
    config, catalog = study.config, study.catalog
    lines = [models.check_policy(catalog.policy(name), study) for name in config["policies"]]
    lines += [models.check_prm(catalog.prm(name), study) for name in config["prms"]]
    lines += [datasets.check_dataset(catalog.dataset(name)) for name in config["datasets"]]
    if here:
        lines += machine.check_machine(study)
    return [*lines, machine.check_disk(study, sum(line.to_fetch for line in lines))]

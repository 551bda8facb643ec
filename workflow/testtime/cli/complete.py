"""What the shell offers after an option, on Tab."""

from collections.abc import Callable, Iterable

from testtime.study import catalog
from testtime.study.methods import METHODS


def _offer(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [name for name in names() if name.startswith(incomplete)]

    return complete


policies = _offer(lambda: catalog.load().policies)
prm_names = _offer(lambda: catalog.load().prms)
methods = _offer(lambda: METHODS)
engines = _offer(lambda: catalog.ENGINES)
formats = _offer(lambda: catalog.PRM_FORMATS)

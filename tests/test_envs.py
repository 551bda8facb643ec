import tomllib

import pytest
import yaml
from packaging.requirements import Requirement


@pytest.fixture(scope="module")
def pins(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    listed = [*project["dependencies"], *(pin for extra in extras for pin in extra)]
    return {Requirement(pin).name: Requirement(pin) for pin in listed}


@pytest.mark.parametrize("name", ["analysis", "transformers", "vllm"])
def test_environments_have_the_same_pins_as_the_project(root, pins, name):
    env = yaml.safe_load((root / f"envs/{name}.yaml").read_text())
    listed = next(part["pip"] for part in env["dependencies"] if isinstance(part, dict))
    for pin in map(Requirement, listed):
        assert pin.specifier == pins[pin.name].specifier, pin.name

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def pins(project):
    extras = project["optional-dependencies"].values()
    listed = [*project["dependencies"], *(pin for extra in extras for pin in extra)]
    return {Requirement(pin).name: Requirement(pin) for pin in listed}


@pytest.mark.parametrize("name", ["analysis", "transformers", "vllm"])
def test_environments_have_the_same_pins_as_the_project(root, pins, name):
    env = yaml.safe_load((root / f"envs/{name}.yaml").read_text())
    listed = next(part["pip"] for part in env["dependencies"] if isinstance(part, dict))
    for pin in map(Requirement, listed):
        assert pin.specifier == pins[pin.name].specifier, pin.name


def test_the_container_takes_every_pin_from_the_project(root, project):
    recipe = (root / "envs/apptainer.def").read_text()
    python = re.search(r"^From: python:([\d.]+)", recipe, re.MULTILINE)[1]
    assert python in SpecifierSet(project["requires-python"])
    assert re.findall(r"pip install (?:--\S+ )*(.*)", recipe) == ["'/opt/testtime[vllm]'"]
    copied = re.findall(r"^ +(\S+) /opt/testtime/\1$", recipe, re.MULTILINE)
    assert {"pyproject.toml", project["readme"], *project["license-files"]} <= set(copied)
    assert all((root / name).is_file() for name in copied)

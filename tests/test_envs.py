import os
import re
import runpy
import subprocess
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


@pytest.fixture(scope="module")
def drift(root):
    return runpy.run_path(str(root / "envs/lock.py"))["drift"]


@pytest.fixture(scope="module")
def pyproject(root):
    return (root / "pyproject.toml").read_text()


@pytest.fixture(scope="module")
def lock(root):
    return (root / "envs/lock.txt").read_text()


def test_the_lock_holds_a_version_of_every_dependency(drift, pyproject, lock):
    assert list(drift(pyproject, lock)) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("numpy>=2.2", "numpy>=2.1"),  # what is locked still fits
        ('    "typer>=0.20",\n', ""),
        ('vllm = ["vllm==0.32.0"]', "vllm = []"),
        (">=3.11,<3.14", ">=3.12,<3.14"),
    ],
)
def test_any_edit_of_the_dependencies_asks_for_a_new_lock(drift, pyproject, lock, before, after):
    assert before in pyproject
    assert list(drift(pyproject.replace(before, after), lock)) == [
        "the dependencies were edited after the lock was made"
    ]


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (
            ("torch==2.13.0", "torch==2.14.0"),
            "torch<2.14,>=2.13 on Python 3.11, linux: 2.14.0 is locked",
        ),
        (("typer==", "tiper=="), "typer>=0.20 on Python 3.13, darwin: nothing is locked"),
        (
            ("vllm==0.32.0", "vllm==0.32.0 ; python_full_version < '3.12'"),
            "vllm==0.32.0 on Python 3.12, linux: nothing is locked",
        ),
    ],
)
def test_a_locked_version_fits_on_every_python_and_system(drift, pyproject, lock, edit, found):
    lines = lock.splitlines()
    lines = [line.replace(*edit) if line.startswith(edit[0]) else line for line in lines]
    assert found in list(drift(pyproject, "\n".join(lines)))


@pytest.mark.parametrize("name", ["analysis", "transformers", "vllm"])
def test_environments_have_the_same_pins_as_the_project(root, pins, name):
    env = yaml.safe_load((root / f"envs/{name}.yaml").read_text())
    listed = next(part["pip"] for part in env["dependencies"] if isinstance(part, dict))
    for pin in map(Requirement, listed):
        assert pin.specifier == pins[pin.name].specifier, pin.name


@pytest.fixture(scope="module")
def images(root):
    """Of each recipe of the image: what it is built on, the files it copies and what it runs."""
    docker = (root / "envs/Dockerfile").read_text()
    apptainer = (root / "envs/apptainer.def").read_text()
    return {
        "docker": (
            re.search(r"^FROM (\S+)", docker, re.MULTILINE)[1],
            re.search(r"^COPY (.*) /opt/testtime/$", docker, re.MULTILINE)[1].split(),
            re.findall(r"^RUN (.*)", docker, re.MULTILINE),
        ),
        "apptainer": (
            re.search(r"^From: (\S+)", apptainer, re.MULTILINE)[1],
            re.findall(r"^ +(\S+) /opt/testtime/$", apptainer, re.MULTILINE),
            re.search(r"%post\n((?: .*\n)*)", apptainer)[1].strip().splitlines(),
        ),
    }


def test_docker_and_apptainer_build_the_same_image(images):
    assert images["docker"] == images["apptainer"]


def test_the_image_takes_every_pin_from_the_project(root, project, images):
    base, copied, run = images["docker"]
    python = re.search(r"^python:([\d.]+)", base)[1]
    assert python in SpecifierSet(project["requires-python"])
    assert run == ["sh /opt/testtime/install.sh"]
    installed = (root / "envs/install.sh").read_text()
    assert re.findall(r"pip install (?:--no-\S+ )*(.*)", installed) == [
        "--constraint lock.txt '.[vllm,kubernetes,s3]'"
    ]
    assert {"pyproject.toml", project["readme"], *project["license-files"]} <= set(copied)
    assert {"envs/lock.txt", "envs/install.sh"} <= set(copied)


def test_the_script_sends_docker_what_the_recipe_copies(root, tmp_path, images):
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\necho $* > {tmp_path}/words\ntar --list > {tmp_path}/files\n")
    docker.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run([root / "envs/build-image", "x/y:1"], env={"PATH": path}, check=True)
    assert (tmp_path / "words").read_text().split()[-2:] == ["x/y:1", "-"]
    sent = (tmp_path / "files").read_text().splitlines()
    assert {*images["docker"][1], "envs/Dockerfile"} <= set(sent)
    assert not [name for name in sent if name.startswith("results")]

"""A file that was cut short, in a study that had finished."""

import shutil

import pytest
from studies import SMOKE, snakemake

SAMPLES = "generations/microcosm/smoke-small/cot/1-of-1.parquet"
GRADES = "grades/microcosm/smoke-small.parquet"
DIFFICULTY = "difficulty/microcosm/smoke-small.parquet"
ACCURACY, FIGURE = "tables/accuracy.csv", "figures/data/accuracy_by_budget.csv"


@pytest.fixture
def cut(study):
    """Copies the results and halves a file of them; returns its path."""
    folder = study / "broken"

    def halve(name):
        shutil.copytree(study / "results-smoke", folder)
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
        return folder / name

    yield halve
    shutil.rmtree(folder)


def run(study, target):
    changed = ("--config", "results=broken", "--", f"broken/{target}")
    done = snakemake(study, "--configfile", SMOKE, *changed)
    return done.returncode, done.stdout + done.stderr


def test_samples_are_written_again_from_the_store(study, cut):
    path = cut(SAMPLES)
    code, said = run(study, GRADES)
    assert code == 0, said
    assert said.count("Finished jobid") == 2
    assert path.read_bytes() == (study / "results-smoke" / SAMPLES).read_bytes()


@pytest.mark.parametrize(
    ("name", "target", "said_of_it"),
    [
        (GRADES, DIFFICULTY, "is not a whole Parquet file"),
        (ACCURACY, FIGURE, "is not as it was written (it was cut short or edited)"),
    ],
)
def test_the_job_that_reads_another_file_names_it_and_after_its_deletion_it_is_made_anew(
    study, cut, name, target, said_of_it
):
    path = cut(name)
    code, said = run(study, target)
    assert code != 0
    assert f"broken/{name} {said_of_it}" in said
    assert "delete it and run again" in said
    path.unlink()
    code, said = run(study, target)
    assert code == 0, said
    for made in (name, target):
        assert (study / "broken" / made).read_bytes() == (
            study / "results-smoke" / made
        ).read_bytes()

"""A file of samples that was cut short, in a study that had finished."""

import shutil

import pytest
from studies import SMOKE, snakemake

SAMPLES = "generations/microcosm/smoke-small/cot/1-of-1.parquet"
GRADES = "grades/microcosm/smoke-small.parquet"


@pytest.fixture(scope="module")
def broken(study):
    folder = study / "broken"
    shutil.copytree(study / "results-smoke", folder)
    whole = (folder / SAMPLES).read_bytes()
    (folder / SAMPLES).write_bytes(whole[: len(whole) // 2])
    return folder


def run(study):
    changed = ("--config", "results=broken", "--", f"broken/{GRADES}")
    done = snakemake(study, "--configfile", SMOKE, *changed)
    return done.returncode, done.stdout + done.stderr


def test_the_job_that_reads_it_names_it_and_after_its_deletion_it_is_made_anew(study, broken):
    code, said = run(study)
    assert code != 0
    assert f"broken/{SAMPLES} is not a whole Parquet file" in said
    assert "delete it and run again" in said
    (broken / SAMPLES).unlink()
    code, said = run(study)
    assert code == 0, said
    assert said.count("Finished jobid") == 2
    for name in (SAMPLES, GRADES):
        assert (broken / name).read_bytes() == (study / "results-smoke" / name).read_bytes()

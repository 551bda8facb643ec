"""`testtime check`: what is wrong is named before hours are spent, and nothing needs a network."""

import json
import shutil
import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import datasets
import pytest
import tiny_prms
import yaml
from huggingface_hub import constants
from testtime.cli import app
from testtime.data.problems import load_problems
from testtime.errors import UserError
from testtime.runtime import hub
from testtime.study.catalog import ENGINES, DatasetSpec, Engine, PolicySpec
from typer.testing import CliRunner

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def _in_checkout(root, monkeypatch):
    monkeypatch.chdir(root)


def run(tmp_path, *options, **changes):
    """Check config.yaml with these changes; returns exit status, table and errors."""
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(yaml.safe_dump(changes | {"results": str(tmp_path / "results")}))
    done = CliRunner().invoke(app, ["check", str(overlay), *options])
    if isinstance(done.exception, Exception) and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def only(name, folder, kind="policies", **entry):
    """A study of one small policy and one PRM, one of them in this folder."""
    known = {"policies": "micro-xs", "prms": "micro-prm-good"}
    entries = {name: {"base": known[kind], "model": str(folder)} | entry}
    return {"policies": ["micro-xs"], "prms": ["micro-prm-good"]} | {
        kind: [name],
        "catalog": {kind: entries},
    }


@pytest.fixture
def copy(root, tmp_path):
    """Copy a shipped model to change it."""

    def make(name):
        folder = tmp_path / name
        shutil.copytree(root / "workflow/resources/microcosm" / name, folder)
        return folder

    return make


def test_the_shipped_study_can_run_and_needs_no_network(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    status, table, errors = run(tmp_path)
    assert (status, errors) == (0, "")
    lines = table.splitlines()
    assert [line.split()[:2] for line in lines[:8]] == [
        *(["policy", f"micro-{size}"] for size in ("xs", "s", "m", "l", "xl")),
        *(["PRM", name] for name in ("micro-prm-weak", "micro-prm-good")),
        ["dataset", "microcosm"],
    ]
    assert all(line.endswith("ok") for line in lines)
    assert all("sha256" in line for line in lines[:7])


def test_a_model_of_the_study_itself_needs_no_files_yet(root, tmp_path):
    done = CliRunner().invoke(app, ["check", str(root / "workflow/studies/smoke.yaml")])
    assert done.exit_code == 0, done.stderr
    assert "trained by this study" in done.stdout


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights in"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(
                (folder / "model.safetensors").read_bytes()[:-100]
            ),
            "is broken",
        ),
        (lambda folder: (folder / "config.json").unlink(), "cannot be loaded"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be loaded"),
        (
            lambda folder: (folder / "model.safetensors.index.json").write_text(
                json.dumps({"weight_map": {"a": "model-1-of-2.safetensors"}})
            ),
            "model-1-of-2.safetensors missing in",
        ),
    ],
)
def test_a_spoilt_model_is_named_with_what_is_wrong(copy, tmp_path, spoil, message):
    folder = copy("micro-xs")
    spoil(folder)
    status, table, errors = run(tmp_path, **only("mine", folder))
    assert status == 2
    assert "policy   mine" in table
    assert [line for line in table.splitlines() if "WRONG" in line] == [
        line for line in table.splitlines() if " mine " in line
    ]
    assert errors.startswith("error: policy mine: ")
    assert message in errors


def test_a_policy_without_a_chat_template_cannot_be_asked(copy, tmp_path):
    folder = copy("micro-xs")
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    status, _, errors = run(tmp_path, **only("mine", folder))
    assert status == 2
    assert "no chat template" in errors


@pytest.mark.parametrize(("kind", "name"), [("policies", "micro-xs"), ("prms", "micro-prm-good")])
def test_a_context_beyond_the_models_positions_is_wrong(copy, tmp_path, kind, name):
    status, _, errors = run(tmp_path, **only("mine", copy(name), kind, context=100_000))
    assert status == 2
    assert "context 100000 is more than its" in errors


def test_a_prm_must_fit_its_format(copy, tmp_path):
    other = only("mine", copy("micro-prm-good"), "prms", format="skywork")
    assert "format 'skywork' does not fit" in run(tmp_path, **other)[2]
    tiny = tiny_prms.build("rlhflow", tmp_path / "tiny")
    tagless = only("tiny", tiny, "prms", format="qwen2.5-math-prm", context=512)
    status, _, errors = run(tmp_path, **tagless)
    assert status == 2
    assert "has no token" in errors


def test_more_than_this_machine_has_is_wrong_unless_jobs_run_elsewhere(copy, tmp_path):
    large = only("mine", copy("micro-xs"), gpus=64, memory_gb=640, engine="vllm")
    status, _, errors = run(tmp_path, **large)
    assert status == 2
    assert "mine needs 64" in errors or "mine with micro-prm-good needs 64" in errors
    status, table, errors = run(tmp_path, "--elsewhere", **large)
    assert (status, errors) == (0, "")
    assert "GPUs" not in table


def test_an_engine_is_missing_where_its_package_is(tmp_path, monkeypatch):
    monkeypatch.setitem(ENGINES, "mine", Engine(0.5, 0.01, 1, "transformers"))
    table = run(tmp_path, engine="mine")[1]
    assert ["engine", "mine", "ok"] in [line.split() for line in table.splitlines()]
    monkeypatch.setitem(ENGINES, "mine", Engine(0.5, 0.01, 1, "nowhere_to_be_found"))
    status, _, errors = run(tmp_path, engine="mine")
    assert status == 2
    assert "engine mine is not installed: pip install 'testtime[nowhere_to_be_found]'" in errors


def test_the_transformers_engine_takes_one_gpu(copy, tmp_path):
    changes = only("mine", copy("micro-xs"), gpus=2)
    assert "engine transformers uses 1" in run(tmp_path, "--elsewhere", **changes)[2]


def test_a_file_of_problems_is_read(tmp_path):
    problems = tmp_path / "problems.jsonl"
    problems.write_text('{"problem": "1 + 1?", "answer": "2"}\n' * 10)
    entry = {"source": "file", "path": str(problems), "size": 12}
    study = {"datasets": ["mine"], "catalog": {"datasets": {"mine": entry}}}
    status, table, _ = run(tmp_path, **study)
    assert status == 0
    assert "10 problems, though its size is given as 12" in table
    problems.write_text('{"question": "1 + 1?", "answer": "2"}\n')
    assert "no column 'problem'" in run(tmp_path, **study)[2]


def test_a_model_of_the_hub_without_a_network_is_an_error_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    study = {"policies": ["qwen2.5-0.5b-instruct"], "engine": "transformers"}
    status, table, errors = run(tmp_path, "--elsewhere", **study)
    assert status == 2
    assert "Qwen/Qwen2.5-0.5B-Instruct" in table
    assert "is not in the cache" in errors
    assert "hf download Qwen/Qwen2.5-0.5B-Instruct" in errors


def test_what_is_in_the_cache_is_found_with_its_commit(root, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repo = tmp_path / "models--org--m"
    shutil.copytree(root / "workflow/resources/microcosm/micro-xs", repo / "snapshots" / COMMIT)
    (repo / "refs").mkdir()
    (repo / "refs/main").write_text(COMMIT)
    for revision in (None, "main", COMMIT):
        assert hub.find("org/m", revision) == hub.Found(COMMIT, repo / "snapshots" / COMMIT)
    unpinned = PolicySpec("m", 1e6, model="org/m")
    assert hub.revision(unpinned) == f"{COMMIT} (not pinned)"
    assert hub.revision(replace(unpinned, revision="main")) == f"main ({COMMIT})"
    assert hub.revision(replace(unpinned, revision=COMMIT)) == COMMIT
    with pytest.raises(UserError, match="org/m at v2 is not in the cache"):
        hub.find("org/m", "v2")


def test_a_dataset_in_the_cache_is_read_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    spec = DatasetSpec("d", "hub", 2, path="org/d", revision=COMMIT, columns={"problem": "q"})
    with pytest.raises(UserError, match=f"org/d at {COMMIT} is not in the cache"):
        load_problems(spec, seed=0)
    snapshot = tmp_path / "hub/datasets--org--d/snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "test.jsonl").write_text('{"q": "1 + 1?", "answer": "2"}\n' * 2)
    assert load_problems(spec, seed=0)["problem"].tolist() == ["1 + 1?"] * 2


class FakeHub(BaseHTTPRequestHandler):
    """Answers about four repositories as the hub does."""

    def do_GET(self):
        _, _, repo = self.path.partition("/api/models/")
        repo = repo.partition("?")[0]
        info = {"id": repo, "sha": COMMIT, "gated": False, "siblings": []}
        files = [{"rfilename": "model.safetensors", "size": 3_000_000_000}]
        answers = {
            "org/open": (200, info | {"siblings": files}, None),
            "org/gated": (200, info | {"gated": "manual"}, None),
            "org/gated/auth-check": (403, {}, "GatedRepo"),
            "org/open/revision/v9": (404, {}, "RevisionNotFound"),
        }
        status, body, code = answers.get(repo, (401, {}, "RepoNotFound"))
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def fake_hub(tmp_path, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    hub.is_reachable.cache_clear()
    yield
    server.shutdown()
    hub.is_reachable.cache_clear()


def test_a_model_that_can_be_fetched_is_given_with_its_commit_and_size(fake_hub):
    assert hub.find("org/open", None) == hub.Found(COMMIT, None, 3_000_000_000)


@pytest.mark.parametrize(
    ("repo", "revision", "message"),
    [
        ("org/gated", None, "org/gated is gated: accept its licence at http.*/org/gated"),
        ("org/none", None, "no model org/none on the hub, or it is private"),
        ("org/open", "v9", "org/open has no revision v9"),
    ],
)
def test_what_the_hub_refuses_is_said_with_what_to_do(fake_hub, repo, revision, message):
    with pytest.raises(UserError, match=message):
        hub.find(repo, revision)

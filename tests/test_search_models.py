"""Search on the microcosm's real models."""

import pytest
from testtime.engines.base import score
from testtime.search.run import SearchSettings, search_problems
from testtime.study.catalog import load
from testtime.study.layout import WORKFLOW
from testtime.study.types import Problem, Sampling, ScoreRequest

MODELS = WORKFLOW / "resources/microcosm"

pytestmark = pytest.mark.skipif(
    not (MODELS / "micro-prm-good").is_dir(), reason="the microcosm's models are not there"
)


@pytest.fixture(scope="module")
def engines():
    from testtime.engines.load import load_policy, load_prm

    known = load()
    policy = load_policy(known.policy("micro-xs"), engine="transformers", threads=1)
    return policy, load_prm(known.prm("micro-prm-good"), engine="transformers", threads=1)


@pytest.fixture(scope="module")
def problems():
    from testtime.data.microcosm import generate_problems

    return [Problem(row["problem_id"], row["problem"]) for row in generate_problems("fresh", 12, 3)]


def search(engines, problems, method, max_rows=4096, **changes):
    policy, prm = engines
    settings = {
        "budget": 8,
        "beam_width": 4,
        "sampling": Sampling(temperature=1.0),
        "step_tokens": 40,
        "max_steps": 10,
        "max_tokens": 400,
        "seed_parts": (5,),
    }
    settings = SearchSettings(method, **(settings | changes))
    results = search_problems(policy, prm, problems, settings, max_rows=max_rows)
    return {(result.problem_id, result.subtree): result for result in results}


@pytest.mark.parametrize("method", ["beam_search", "dvts", "particle_filtering"])
def test_shards_do_not_change_what_is_sampled(engines, problems, method):
    together = search(engines, problems, method)
    apart = {}
    for shard in range(4):
        apart |= search(engines, problems[shard::4], method, max_rows=16)
    tokens = [[path.token_ids for path in together[key].paths] for key in together]
    assert tokens == [[path.token_ids for path in apart[key].paths] for key in together]


def test_the_same_run_gives_the_same_bits(engines, problems):
    first = search(engines, problems[:4], "beam_search")
    assert search(engines, problems[:4], "beam_search") == first


def test_scores_of_paths_equal_those_of_reading_them_whole(engines, problems):
    texts = {problem.problem_id: problem.problem for problem in problems}
    found = search(engines, problems, "beam_search")
    paths = [(texts[key[0]], path) for key, result in found.items() for path in result.paths]
    whole = score(engines[1], [ScoreRequest(text, path.steps) for text, path in paths])
    assert len(paths) == 2 * len(problems)
    for answer, (_, path) in zip(whole, paths, strict=True):
        assert path.scores == pytest.approx(answer.scores, abs=1e-4)


def test_the_prm_reads_at_most_a_third_of_what_whole_paths_would_take(engines, problems):
    policy, prm = engines

    class WholePaths:
        """Scores every path from its beginning, duplicates among siblings left out."""

        tokens, in_background = 0, False

        def submit(self, request):
            self.tokens += len(prm.reader.encode(request.problem, request.steps).token_ids)
            return prm.submit(request)

        def poll(self):
            return prm.poll()

    whole = WholePaths()
    found = search((policy, whole), problems, "beam_search", budget=16)
    assert sum(result.prm_tokens for result in found.values()) <= whole.tokens / 3


def test_a_greedy_sample_is_the_same_whole_and_step_by_step(engines, problems):
    """Token ids are continued, so cutting a solution into steps changes nothing."""
    greedy = {"sampling": Sampling(temperature=0.0), "budget": 1, "beam_width": 1}
    whole = search(engines, problems, "cot", **greedy)
    steps = search(engines, problems, "dvts", **greedy)
    assert [path.token_ids for result in whole.values() for path in result.paths] == [
        path.token_ids for key in whole for path in steps[key].paths
    ]

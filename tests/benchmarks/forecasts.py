"""Forecasts from few samples against what many showed: coverage of intervals, mean error.

    PYTHONPATH=workflow python tests/benchmarks/forecasts.py COUNTS.csv ... [--pools POOL.jsonl.gz
        ... --problems PROBLEMS.jsonl]

Counts: columns model, problem, samples, correct. Of each model's problems that have 1,000 samples
or more, `--kept` are drawn without replacement, and once 50 to 200, another number for each:
Pass@k is forecast from them and compared with the unbiased estimate from all samples, at every k
that all of these problems have. Beside it stand the errors of Pass@n, at which the estimate stops,
and of 1 - (1 - c/n)^k. Then simulated problems, whose chances are no beta distribution.

Pools: lines {"problem_id", "sample", "answer"}; problems: {"problem_id", "answer"}. An answer is
right if it is spelled as the problem's own, blanks and commas aside. Few samples are
drawn with replacement, so that the pool's shares of answers are the truth: the vote of more samples
is forecast and compared with votes drawn from these shares.
"""

import argparse
import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
from testtime.evaluate.estimators import miss_probability
from testtime.evaluate.votes import Draws, majority_vote
from testtime.fit.extrapolate import forecast_majority, forecast_pass

KS = (200, 300, 500, 1000, 2000, 5000, 10000)
FEWEST = 1000  # samples of a problem that is used
TIMES = (2, 4, 16, 64)  # votes, in pools
VOTES = 2000  # drawn for the truth


def pass_at(right: np.ndarray, samples: np.ndarray, k: int) -> float:
    """Mean unbiased estimate."""
    pairs = zip(right, samples, strict=True)
    return float(np.mean([1 - miss_probability(int(n), k)[c] for c, n in pairs]))


def row(truth: float, forecast, i: int, stopped: float, plug_in: float) -> dict:
    """Whether an interval holds the truth, its width, and three errors."""
    value, low, high = forecast.value[i], forecast.low[i], forecast.high[i]
    return {
        "covered": low <= truth <= high,
        "width": high - low,
        "error": abs(value - truth),
        "stopped": abs(stopped - truth),
        "plug_in": abs(plug_in - truth),
    }


def thinned(counts: pd.DataFrame, kept: int, seeds: int) -> pd.DataFrame:
    """Rows of every model, seed, k and way of thinning."""
    rows = []
    for model, problems in counts[counts["samples"] >= FEWEST].groupby("model", sort=True):
        total, right = problems["samples"].to_numpy(), problems["correct"].to_numpy()
        truths = {k: pass_at(right, total, k) for k in KS if k <= total.min()}
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            for how in ("equal", "unequal"):
                sizes = np.full(len(total), kept)
                if how == "unequal":
                    sizes = rng.integers(kept // 2, 2 * kept, len(total), endpoint=True)
                found = rng.hypergeometric(right, total - right, sizes)
                forecast = forecast_pass(found, sizes, list(truths), seed=seed)
                stopped = pass_at(found, sizes, int(sizes.min()))
                for i, (k, truth) in enumerate(truths.items()):
                    plug_in = (1 - (1 - found / sizes) ** k).mean()
                    known = {"model": model, "kept": how, "k": k}
                    rows.append(known | row(truth, forecast, i, stopped, plug_in))
    return pd.DataFrame(rows)


def worlds(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """Chances of n problems each, by how they are distributed."""
    beta, lost = rng.beta(0.5, 3, n), rng.random(n) < 0.4
    return {
        "beta": beta,
        "beta, 40 % never": np.where(lost, 0.0, beta),
        "log-normal": np.exp(rng.normal(-4, 2, n)).clip(0, 1),
        "beta, 40 % at 0.002": np.where(lost, 0.002, beta),
    }


def simulated(n_problems: int, kept: int, seeds: int) -> pd.DataFrame:
    """Rows of every world, seed and k; the truth is the mean of 1 - (1 - p)^k."""
    rows = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        for name, chances in worlds(rng, n_problems).items():
            found = rng.binomial(kept, chances)
            forecast = forecast_pass(found, kept, list(KS), seed=seed)
            stopped = (found > 0).mean()
            for i, k in enumerate(KS):
                plug_in = (1 - (1 - found / kept) ** k).mean()
                truth = (1 - (1 - chances) ** k).mean()
                rows.append({"world": name, "k": k} | row(truth, forecast, i, stopped, plug_in))
    return pd.DataFrame(rows)


def spelled(answer: object) -> str:
    """Without blanks and commas."""
    return "".join(str(answer or "").split()).replace(",", "")


def read_pool(pool: Path, golds: dict[str, str]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each problem the share of samples per answer, the last without one, and which is right."""
    with gzip.open(pool, "rt") as lines:
        samples = pd.DataFrame(map(json.loads, lines))
    samples["answer"] = samples["answer"].map(spelled)
    found = []
    for problem, own in samples.groupby("problem_id", sort=True):
        counts = own["answer"].value_counts().drop("", errors="ignore").sort_index()
        shares = np.append(counts, len(own) - counts.sum()) / len(own)
        found.append((shares, np.append(counts.index == spelled(golds[problem]), False)))
    return found


def vote(shares: np.ndarray, right: np.ndarray, k: int, rng: np.random.Generator) -> float:
    """How often the right answer wins a vote of k samples, ties shared."""
    if not right.any():
        return 0.0
    votes = rng.multinomial(k, shares, VOTES)[:, :-1]
    top = (votes == votes.max(axis=1, keepdims=True)) & (votes > 0)
    return float((top[:, right[:-1]].sum(axis=1) / np.maximum(top.sum(axis=1), 1)).mean())


def voted(pool: list, n_problems: int, samples: int, seeds: int) -> pd.DataFrame:
    """Rows of every seed and number of votes, each of other problems of the pool."""
    rows = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        chosen = [pool[i] for i in rng.permutation(len(pool))[:n_problems]]
        drawn = [rng.choice(len(s), samples, p=s) for s, _ in chosen]
        correct = np.array([r[d] for d, (_, r) in zip(drawn, chosen, strict=True)], dtype=float)
        pairs = zip(drawn, chosen, strict=True)
        classes = np.array([np.where(d == len(s) - 1, -1, d) for d, (s, _) in pairs])
        ks = [samples, *(times * samples for times in TIMES)]
        forecast = forecast_majority(classes, correct, ks, seed=seed)
        draws = Draws(1, np.zeros(len(classes)))  # a vote of the whole pool draws nothing
        stopped = majority_vote(classes, correct, samples, draws)[0].mean()
        for i, times in enumerate(TIMES, 1):
            truth = np.mean([vote(s, r, ks[i], rng) for s, r in chosen])
            rows.append({"times": times} | row(truth, forecast, i, stopped, stopped))
    return pd.DataFrame(rows)


def show(rows: pd.DataFrame, *keys: str) -> None:
    """Means of the rows as a table in Markdown, for each of the keys' values."""
    means = rows.groupby(list(keys), sort=True).mean(numeric_only=True)
    print(f"| {' | '.join([*keys, *means.columns])} |")
    print("|---" * (len(keys) + len(means.columns)) + "|")
    for names, values in zip(means.index.to_frame().to_numpy(), means.to_numpy(), strict=True):
        print(f"| {' | '.join([*map(str, names), *(f'{value:.3f}' for value in values)])} |")
    print()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", nargs="*", type=Path)
    parser.add_argument("--kept", type=int, default=100, help="samples per problem")
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--pools", nargs="*", type=Path, default=[])
    parser.add_argument("--problems", type=Path, help="with the right answers, for the pools")
    asked = parser.parse_args()
    if asked.counts:
        found = thinned(pd.concat(map(pd.read_csv, asked.counts)), asked.kept, asked.seeds)
        show(found[found["kept"] == "equal"], "k")
        to_1000 = found[found["k"] <= 1000]
        show(to_1000, "kept")
        show(to_1000[to_1000["kept"] == "equal"].drop(columns="k"), "model")
        worlds_found = simulated(200, asked.kept, asked.seeds)
        show(worlds_found[worlds_found["k"].isin([200, 1000, 10000])], "world", "k")
    if asked.pools:
        lines = asked.problems.read_text(encoding="utf-8").splitlines()
        golds = {line["problem_id"]: line["answer"] for line in map(json.loads, lines)}
        parts = []
        for path in asked.pools:
            pool = read_pool(path, golds)
            for samples in (8, 20):
                for n_problems in (100, 400):
                    found = voted(pool, n_problems, samples, asked.seeds // 4)
                    name = path.name.split(".")[0]
                    parts.append(found.assign(pool=name, samples=samples, problems=n_problems))
        show(pd.concat(parts), "samples", "times")
        show(pd.concat(parts).drop(columns=["times"]), "pool", "samples", "problems")

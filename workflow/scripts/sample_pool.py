import pandas as pd
from testtime.data.decided import Cell, identities
from testtime.data.problems import as_problems
from testtime.data.rows import open_rows
from testtime.data.store import read_parquet, write_parquet
from testtime.engines.load import Measured, load_policy
from testtime.runtime.job import job
from testtime.runtime.progress import progress
from testtime.sample import Draw, SampleSettings, draw_missing, to_table
from testtime.study.blocks import SINGLE, block_range, select_shard
from testtime.study.layout import identify
from testtime.study.study import study_of
from testtime.study.vocabulary import DIFFICULTY, POOL
from testtime.think import Thinker


def main(config, wildcards, threads, problems, outputs):
    study = study_of(config, outputs[0])
    cell = Cell(study, "generate", wildcards.dataset, wildcards.policy)
    spec, stamp_of = study.catalog.policy(cell.policy), cell.row_stamps(identities(study))
    chosen = select_shard(as_problems(read_parquet(problems)), wildcards.shard)
    blocks = {identify(path)[1]["block"]: path for path in outputs}
    draws = {}
    for block in blocks:
        label = block if block in SINGLE else POOL
        parts = (config["seed"], cell.dataset, cell.policy)
        settings = SampleSettings.of(spec, parts, label)
        single = range(study.block_samples(cell.policy, block)) if block in SINGLE else None
        numbers = single or block_range(block)
        draws[block] = [Draw(p, settings, numbers, stamp_of(p, label)) for p in chosen]
    by_problem = [draw for of_one in zip(*draws.values(), strict=True) for draw in of_one]
    policy = Measured(spec, lambda: load_policy(spec, engine=config["engine"], threads=threads))
    thinking = study.thinks(spec.name)
    answers = {block: 1 if block == DIFFICULTY else max(len(thinking), 1) for block in draws}
    total = sum(answers[block] * len(d.numbers) for block, own in draws.items() for d in own)
    with (
        open_rows(cell.store, cell.stamps(chosen, identities(study))) as rows,
        progress(total, spec.name, "samples") as bar,
    ):
        if thinking:
            tables = think(policy, spec, draws, thinking, rows, bar)
        else:
            draw_missing(policy, by_problem, rows, bar)
            tables = {block: to_table(draws[block], rows) for block in draws}
    policy.report()
    for block, path in blocks.items():
        write_parquet(tables[block], path, cell.stamp)


def think(policy, spec, draws, budgets, rows, bar):
    """The table of each block of a policy that thinks; the held-out samples at the largest T."""
    thinker = Thinker(policy, spec.thinking, rows, bar, spec.context)
    tables = {}
    for own in (budgets, budgets[-1:]):
        blocks = [block for block in draws if (block == DIFFICULTY) == (own is not budgets)]
        traces = thinker.draw([draw for block in blocks for draw in draws[block]], own)
        tables |= {block: thinker.to_table(draws[block], traces, own) for block in blocks}
    rows = pd.concat(tables.values())
    early = (rows["forced"] & (rows["thought_tokens"] < rows["thinking"])).sum()
    print(
        f"{early} of {len(rows)} thoughts were cut early, so that an answer fits into the context"
    )
    return tables


with job(snakemake.log[0], gpus=snakemake.resources.get("gpu", 0)):
    main(
        snakemake.config,
        snakemake.wildcards,
        snakemake.threads,
        snakemake.input.problems,
        snakemake.output,
    )

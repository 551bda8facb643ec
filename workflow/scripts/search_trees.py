from testtime.data.partial import resume
from testtime.data.problems import as_problems
from testtime.data.store import read_parquet, write_parquet
from testtime.engines.load import load_policy, load_prm
from testtime.runtime.job import job
from testtime.runtime.progress import progress
from testtime.score import describe_unscored
from testtime.search.rows import to_rows
from testtime.search.run import SearchSettings, search_problems
from testtime.study import catalog
from testtime.study.blocks import block_range, select_shard
from testtime.study.methods import METHODS


def main(config, wildcards, threads, problems, output, partial):
    study = catalog.of_study(config)
    spec, width = study.policy(wildcards.policy), config["beam_width"]
    if METHODS[wildcards.method].nested:
        block = block_range(wildcards.block)
        subtrees = range(block.start // width, block.stop // width)
        budget = block.stop
    else:
        subtrees, budget = None, int(wildcards.block)
    settings = SearchSettings.of(
        spec,
        wildcards.method,
        budget,
        beam_width=width,
        seed_parts=(config["seed"], wildcards.dataset, wildcards.policy, wildcards.prm),
    )
    chosen = select_shard(as_problems(read_parquet(problems)), wildcards.shard)
    policy = load_policy(spec, engine=config["engine"], threads=threads)
    prm = load_prm(study.prm(wildcards.prm), engine=config["engine"], threads=threads)
    with progress(len(chosen), f"{wildcards.method} {wildcards.block}") as bar:
        results = search_problems(
            policy,
            prm,
            chosen,
            settings,
            subtrees=subtrees,
            done=partial.units,
            progress=bar,
        )
        rows = to_rows(results, partial)
    print(describe_unscored(rows["steps"], rows["scores"], "paths"))
    write_parquet(rows, output)


with (
    job(snakemake.log[0], gpus=snakemake.resources.gpu),
    resume(
        snakemake.output[0], snakemake.config["results"], snakemake.params, snakemake.input
    ) as partial,
):
    main(
        snakemake.config,
        snakemake.wildcards,
        snakemake.threads,
        snakemake.input.problems,
        snakemake.output[0],
        partial,
    )

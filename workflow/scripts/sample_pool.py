from testtime.data.partial import resume
from testtime.data.problems import as_problems
from testtime.data.store import read_parquet, write_parquet
from testtime.engines.load import load_policy
from testtime.runtime.job import job
from testtime.runtime.progress import progress
from testtime.sample import SampleSettings, sample_pool
from testtime.study import catalog
from testtime.study.blocks import SINGLE, block_range, select_shard


def main(config, wildcards, samples, threads, problems, output, partial):
    spec = catalog.of_study(config).policy(wildcards.policy)
    chosen = select_shard(as_problems(read_parquet(problems)), wildcards.shard)
    drawn = range(samples) if wildcards.block in SINGLE else block_range(wildcards.block)
    settings = SampleSettings.of(
        spec,
        seed_parts=(config["seed"], wildcards.dataset, wildcards.policy),
        label=wildcards.block if wildcards.block in SINGLE else "pool",
    )
    policy = load_policy(spec, engine=config["engine"], threads=threads)
    with progress(len(chosen) * len(drawn), f"{spec.name} {wildcards.block}", "samples") as bar:
        rows = sample_pool(
            policy,
            chosen,
            settings,
            start=drawn.start,
            stop=drawn.stop,
            progress=bar,
            partial=partial,
        )
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
        snakemake.params.samples,
        snakemake.threads,
        snakemake.input.problems,
        snakemake.output[0],
        partial,
    )

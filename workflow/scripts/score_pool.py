from testtime.data.partial import resume
from testtime.data.store import read_parquet, write_parquet
from testtime.engines.load import load_prm
from testtime.runtime.job import job
from testtime.runtime.progress import progress
from testtime.score import describe_unscored, score_pool
from testtime.study import catalog


def main(config, wildcards, threads, problems, generations, output, partial):
    spec = catalog.of_study(config).prm(wildcards.prm)
    prm = load_prm(spec, engine=config["engine"], threads=threads)
    samples = read_parquet(generations)
    with progress(len(samples), f"{spec.name} {wildcards.block}", "samples") as bar:
        rows = score_pool(prm, read_parquet(problems), samples, bar, partial)
    print(describe_unscored(samples["steps"], rows["scores"], "samples"))
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
        snakemake.input.generations,
        snakemake.output[0],
        partial,
    )

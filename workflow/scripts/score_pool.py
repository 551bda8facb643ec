import pandas as pd
from testtime.data.decided import Cell, identities
from testtime.data.problems import as_problems
from testtime.data.rows import open_rows
from testtime.data.store import read_parquet, write_parquet
from testtime.engines.load import Measured, load_prm
from testtime.runtime.job import job
from testtime.runtime.progress import progress
from testtime.score import describe_unscored, score_pool
from testtime.study.blocks import select_shard
from testtime.study.layout import identify
from testtime.study.study import study_of


def main(config, wildcards, threads, problems, generations, outputs):
    study = study_of(config, outputs[0])
    cell = Cell(study, "score", wildcards.dataset, wildcards.policy, wildcards.prm)
    spec, stamp_of = study.catalog.prm(cell.prm), cell.row_stamps(identities(study))
    texts = read_parquet(problems)
    stamps = {p.problem_id: stamp_of(p) for p in select_shard(as_problems(texts), wildcards.shard)}
    columns = ["problem_id", "sample", "steps"]
    columns += ["thinking"] if study.thinks(cell.policy) else []
    samples = {}
    for path in generations:
        rows = read_parquet(path, columns=columns)
        samples[identify(path)[1]["block"]] = rows[rows["problem_id"].isin(set(stamps))]
    pool = pd.concat(samples.values(), keys=samples, names=["block", None])
    prm = Measured(spec, lambda: load_prm(spec, engine=config["engine"], threads=threads))
    with (
        open_rows(cell.store, set(stamps.values())) as kept,
        progress(len(pool), spec.name, "samples") as bar,
    ):
        scored = score_pool(prm, texts, pool, bar, rows=kept, stamps=stamps)
    prm.report()
    print(describe_unscored(pool["steps"], scored["scores"], "samples"))
    blocks = pool.index.get_level_values("block")
    for path in outputs:
        own = scored[blocks == identify(path)[1]["block"]]
        write_parquet(own, path, cell.stamp)


with job(snakemake.log[0], gpus=snakemake.resources.get("gpu", 0)):
    main(
        snakemake.config,
        snakemake.wildcards,
        snakemake.threads,
        snakemake.input.problems,
        snakemake.input.generations,
        snakemake.output,
    )

from testtime.data.decided import Cell, identities
from testtime.data.problems import as_problems
from testtime.data.rows import open_rows
from testtime.data.store import read_parquet, write_parquet
from testtime.engines.load import Measured, load_policy, load_prm
from testtime.runtime.job import job
from testtime.runtime.progress import progress
from testtime.score import describe_unscored
from testtime.search.rows import describe, to_table
from testtime.search.run import SearchSettings, grow_trees, plant
from testtime.study.blocks import block_range, select_shard
from testtime.study.layout import identify
from testtime.study.methods import METHODS
from testtime.study.study import study_of


def plant_block(study, cell, problems, method, block):
    """The trees of one output file, each with its search."""
    subtrees, width = range(study.config["search_runs"]), study.config["beam_width"]
    budget = int(block.split("-")[-1])
    if METHODS[method].nested:
        numbers = block_range(block)
        subtrees = range(numbers.start // width, numbers.stop // width)
    settings = SearchSettings.of(
        study.catalog.policy(cell.policy),
        method,
        budget,
        beam_width=width,
        seed_parts=(study.config["seed"], cell.dataset, cell.policy, cell.prm),
        ends_at=study.config["paths_end_at"],
        logprobs=study.config["search_logprobs"],
    )
    return dict.fromkeys(plant(problems, settings, subtrees), settings)


def grow(study, cell, trees, threads):
    """The results of trees; models are loaded only if there are any, both before either is used."""
    if not trees:
        return
    policy, prm = study.catalog.policy(cell.policy), study.catalog.prm(cell.prm)
    options = {"engine": study.config["engine"], "threads": threads}
    writer = Measured(policy, lambda: load_policy(policy, beside=prm, **options))
    reader = Measured(prm, lambda: load_prm(prm, beside=policy, **options))
    models = writer, reader
    for model in models:
        model.load()
    yield from grow_trees(*models, trees)
    for model in models:
        model.report()


def main(config, wildcards, threads, problems, outputs):
    study = study_of(config, outputs[0])
    cell = Cell(study, "search", wildcards.dataset, wildcards.policy, wildcards.prm)
    stamp_of = cell.row_stamps(identities(study))
    chosen = select_shard(as_problems(read_parquet(problems)), wildcards.shard)
    planted = {}
    for path in outputs:
        names = identify(path)[1]
        planted[path] = plant_block(study, cell, chosen, names["method"], names["block"])
    stamps = {
        tree: stamp_of(tree.problem, settings.method, settings.budget)
        for trees in planted.values()
        for tree, settings in trees.items()
    }
    with (
        open_rows(cell.store, set(stamps.values())) as rows,
        progress(len(stamps), f"{cell.policy} with {cell.prm}", "trees") as bar,
    ):
        # The largest of a problem first, so that the batch stays full while they end.
        missing = {
            tree: settings
            for trees in planted.values()
            for tree, settings in trees.items()
            if tree.subtree not in rows.of(stamps[tree])
        }
        places = {problem.problem_id: i for i, problem in enumerate(chosen)}
        ordered = sorted(missing, key=lambda tree: (places[tree.problem.problem_id], -tree.budget))
        bar.update(len(stamps) - len(missing))
        for tree, result in grow(study, cell, {tree: missing[tree] for tree in ordered}, threads):
            rows.add(stamps[tree], {tree.subtree: describe(result)})
            bar.update()
    for path, trees in planted.items():
        table = to_table(
            (tree.problem.problem_id, rows.of(stamps[tree])[tree.subtree]) for tree in trees
        )
        kept = table[table["kept"]]
        print(f"{path}: {describe_unscored(kept['steps'], kept['scores'], 'paths')}")
        print(f"{path}: {(kept['finish'] == 'answer').sum()} paths ended at their answer")
        print(f"{path}: {len(table) - len(kept)} finished candidates were pruned")
        write_parquet(table, path, cell.stamp)


with job(snakemake.log[0], gpus=snakemake.resources.get("gpu", 0)):
    main(
        snakemake.config,
        snakemake.wildcards,
        snakemake.threads,
        snakemake.input.problems,
        snakemake.output,
    )

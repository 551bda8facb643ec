from testtime.data.samples import read_generations, read_scores, read_searches
from testtime.data.store import read_parquet, write_parquet
from testtime.evaluate import evaluate_policy
from testtime.runtime.job import job


def main(inputs, wildcards, params, output):
    rows = evaluate_policy(
        read_generations(inputs.generations),
        read_scores(inputs.scores),
        read_searches(inputs.searches),
        read_parquet(inputs.grades),
        dataset=wildcards.dataset,
        policy=wildcards.policy,
        parameters=params.parameters["policy"],
        prm_parameters=params.parameters["prms"],
        budgets_pool=params.budgets["pool"],
        budgets_search=params.budgets["search"],
        methods=params.methods,
        scorings=params.scorings,
        votes=params.votes,
        beam_width=params.beam_width,
        seed=params.seed,
        subsets=params.subsets,
    )
    print(*rows.attrs["notes"], sep="\n")
    write_parquet(rows, output)


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.wildcards, snakemake.params, snakemake.output[0])

from testtime.data.samples import read_generations, read_scores, read_searches
from testtime.data.store import read_parquet, write_parquet
from testtime.evaluate import evaluate_policy
from testtime.runtime.job import job


def main(inputs, params, output):
    settings = params.settings
    rows = evaluate_policy(
        read_generations(inputs.generations),
        read_scores(inputs.scores),
        read_searches(inputs.searches),
        read_parquet(inputs.grades),
        dataset=params.dataset,
        policy=params.policy,
        parameters=params.parameters,
        prm_parameters=settings["prm_parameters"],
        budgets_pool=params.pool_budgets,
        budgets_search=params.search_budgets,
        methods=settings["methods"],
        scorings=settings["scorings"],
        votes=settings["votes"],
        beam_width=settings["beam_width"],
        seed=settings["seed"],
        subsets=params.subsets,
    )
    print(*rows.attrs["notes"], sep="\n")
    write_parquet(rows, output)


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.params, snakemake.output[0])

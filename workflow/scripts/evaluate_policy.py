from testtime.data.samples import read_generations, read_scores, read_searches
from testtime.data.store import read_parquet, write_parquet
from testtime.evaluate.outcomes import EvaluationSettings, evaluate_policy
from testtime.runtime.job import job
from testtime.study.speed import Speed


def main(inputs, params, output):
    rows = evaluate_policy(
        read_generations(inputs.generations),
        read_scores(inputs.scores),
        read_searches(inputs.searches),
        read_parquet(inputs.grades),
        EvaluationSettings(
            dataset=params.dataset,
            policy=params.policy,
            parameters=params.parameters,
            pool_budgets=params.pool_budgets,
            search_budgets=params.search_budgets,
            methods=params.methods,
            subsets=params.subsets,
            greedy_cot=params.greedy_cot,
            speeds={name: Speed(**speed) for name, speed in params.speeds.items()},
            **params.settings,
        ),
    )
    print(*rows.attrs["notes"], sep="\n")
    write_parquet(rows, output)


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.params, snakemake.output[0])

from testtime.data.samples import read_generations, read_scores, read_searches
from testtime.data.store import read_parquet, write_parquet
from testtime.evaluate.outcomes import EvaluationSettings, evaluate_policy
from testtime.runtime.job import job


def main(inputs, wildcards, params, output):
    settings = EvaluationSettings(
        dataset=wildcards.dataset,
        policy=wildcards.policy,
        budgets=params.budgets,
        methods=params.methods,
        scorings=params.scorings,
        votes=params.votes,
        beam_width=params.beam_width,
        subsets=params.subsets,
        seed=params.seed,
        parameters=params.parameters,
    )
    rows = evaluate_policy(
        read_generations(inputs.generations),
        read_scores(inputs.scores),
        read_searches(inputs.searches),
        read_parquet(inputs.grades),
        settings,
    )
    print(*rows.attrs["notes"], sep="\n")
    write_parquet(rows, output)


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.wildcards, snakemake.params, snakemake.output[0])

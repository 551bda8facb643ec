import torch
from microcosm import training
from microcosm.cards import policy_card, thinker_card
from microcosm.checkpoint import Checkpoint, decided_by
from microcosm.data import TOKENS_PER_STEP
from microcosm.models import count, is_thinker, save_policy
from microcosm.quality import policy_quality, thinker_quality
from testtime.data.store import atomic_folder
from testtime.runtime.job import job
from testtime.study.layout import Layout


def main(name, recipe, threads, output, state):
    torch.set_num_threads(threads)
    checkpoint = Checkpoint(state, decided_by(training.__file__, recipe))
    model = training.train_policy(recipe, name, checkpoint)
    seconds = checkpoint.seconds
    measure, describe = (
        (thinker_quality, thinker_card) if is_thinker(model) else (policy_quality, policy_card)
    )
    card = describe(
        name,
        recipe,
        size=count(model),
        seconds=seconds,
        tokens=recipe["steps"] * TOKENS_PER_STEP,
        quality=measure(model, **recipe.get("measure", {})),
    )
    with atomic_folder(output) as folder:
        save_policy(model, folder, card, recipe.get("stored", "float32"))


with job(snakemake.log[0]):
    main(
        snakemake.params.name,
        snakemake.params.recipe,
        snakemake.threads,
        output=snakemake.output.model,
        state=Layout(snakemake.config["results"]).path("checkpoint", name=snakemake.params.name),
    )

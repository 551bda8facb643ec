import time

import torch
from microcosm.cards import policy_card, thinker_card
from microcosm.data import TOKENS_PER_STEP
from microcosm.models import count, is_thinker, save_policy
from microcosm.quality import policy_quality, thinker_quality
from microcosm.training import train_policy
from testtime.data.store import atomic_folder
from testtime.runtime.job import job


def main(name, recipe, threads, output):
    torch.set_num_threads(threads)
    started = time.process_time()
    model = train_policy(recipe, name)
    seconds = time.process_time() - started
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
    main(snakemake.params.name, snakemake.params.recipe, snakemake.threads, snakemake.output.model)

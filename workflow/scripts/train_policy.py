import time

import torch
from microcosm.cards import policy_card
from microcosm.data import TOKENS_PER_STEP
from microcosm.models import count, save_policy
from microcosm.quality import policy_quality
from microcosm.training import train_policy
from testtime.data.store import atomic_folder
from testtime.runtime.job import job


def main(name, recipe, threads, output):
    torch.set_num_threads(threads)
    started = time.process_time()
    model = train_policy(recipe, name)
    seconds = time.process_time() - started
    quality = policy_quality(model, **recipe.get("measure", {}))
    tokens = recipe["steps"] * TOKENS_PER_STEP
    card = policy_card(
        name, recipe, size=count(model), seconds=seconds, tokens=tokens, quality=quality
    )
    with atomic_folder(output) as folder:
        save_policy(model, folder, card, recipe.get("stored", "float32"))


with job(snakemake.log[0]):
    main(snakemake.params.name, snakemake.params.recipe, snakemake.threads, snakemake.output.model)

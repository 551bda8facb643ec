import time

import torch
from microcosm.cards import EXAMPLE, prm_card
from microcosm.models import TAGS, count, save_prm
from microcosm.quality import example_scores, policy_quality, prm_quality
from microcosm.tokenizer import PRM_TOKENS
from microcosm.training import train_prm
from testtime.data.store import atomic_folder
from testtime.runtime.job import job
from transformers import AutoModelForCausalLM


def main(name, recipe, threads, *, backbone, policies, output):
    torch.set_num_threads(threads)
    started = time.process_time()
    prm = train_prm(recipe, backbone, policies, name)
    seconds = time.process_time() - started
    measure = recipe.get("measure", {})
    alone = policy_quality(AutoModelForCausalLM.from_pretrained(backbone), **measure)
    tag = PRM_TOKENS.index(TAGS[recipe["format"]])
    quality = {
        policy: prm_quality(prm, tag, folder, **measure)
        for policy, folder in zip(recipe["policies"], policies, strict=True)
    }
    card = prm_card(
        name,
        recipe,
        size=count(prm),
        seconds=seconds,
        backbone=alone,
        quality=quality,
        example=example_scores(prm, tag, *EXAMPLE),
    )
    with atomic_folder(output) as folder:
        save_prm(prm, folder, card)


with job(snakemake.log[0]):
    main(
        snakemake.params.name,
        snakemake.params.recipe,
        snakemake.threads,
        backbone=snakemake.input.backbone,
        policies=snakemake.input.policies,
        output=snakemake.output.model,
    )

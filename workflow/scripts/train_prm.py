import torch
from microcosm import training
from microcosm.cards import EXAMPLE, prm_card
from microcosm.checkpoint import Checkpoint, decided_by
from microcosm.models import TAGS, count, save_prm
from microcosm.quality import example_scores, policy_quality, prm_quality
from microcosm.tokenizer import PRM_TOKENS
from testtime.data.store import atomic_folder
from testtime.runtime.job import job
from testtime.study.layout import Layout
from transformers import AutoModelForCausalLM


def main(name, recipe, threads, *, backbone, policies, output, state):
    torch.set_num_threads(threads)
    decided = decided_by(training.__file__, recipe, backbone, *policies)
    checkpoint = Checkpoint(state, decided)
    prm = training.train_prm(recipe, backbone, policies, name, checkpoint)
    seconds = checkpoint.seconds
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
        state=Layout(snakemake.config["results"]).path("checkpoint", name=snakemake.params.name),
    )

import time

import torch
from testtime.job import job
from testtime.microcosm.cards import prm_card
from testtime.microcosm.export import count, save_prm
from testtime.microcosm.prms import TAGS, train_prm
from testtime.microcosm.quality import prm_quality
from testtime.microcosm.tokenizer import PRM_TOKENS


def main(name, recipe, threads, backbone, policies, output):
    torch.set_num_threads(threads)
    started = time.monotonic()
    prm = train_prm(recipe, backbone, policies, name)
    seconds = time.monotonic() - started
    tag = PRM_TOKENS.index(TAGS[recipe["format"]])
    quality = {
        policy: prm_quality(prm, tag, folder, **recipe.get("measure", {}))
        for policy, folder in zip(recipe["policies"], policies, strict=True)
    }
    save_prm(prm, output, prm_card(name, recipe, count(prm), seconds, quality))


with job(snakemake.log[0]):
    main(
        snakemake.params.name,
        snakemake.params.recipe,
        snakemake.threads,
        snakemake.input.backbone,
        snakemake.input.policies,
        snakemake.output.model,
    )

from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


# Only with `--sdm apptainer`; built from envs/apptainer.def.
container: f"{workflow.basedir}/testtime.sif"


include: "workflow/rules/common.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/problems.smk"
include: "workflow/rules/generate.smk"
include: "workflow/rules/score.smk"
include: "workflow/rules/search.smk"
include: "workflow/rules/grade.smk"
include: "workflow/rules/difficulty.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/fit.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/figures_common.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        get_tables(),
        get_figures(),
        f"{RESULTS}/report.html",
    localrule: True

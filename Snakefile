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
include: "workflow/rules/present.smk"


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        get_tables(),
        get_figures(),
        get_notebooks(),
        f"{RESULTS}/report.html",
    localrule: True


onstart:
    # Snakemake's own lock would outlive a killed run, see profiles/default.
    try:
        hold(RESULTS)
    except UserError as error:
        raise WorkflowError(str(error)) from None


onsuccess:
    from testtime.present.report.finding import closing_words

    print(closing_words(RESULTS, config), end="")


onerror:
    print(
        "Finished files are kept: mend what the logs above name, then give the same command again.\n"
        f"All logs: {RESULTS}/logs",
        file=sys.stderr,
    )

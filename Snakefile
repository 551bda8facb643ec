from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


# Only with `--sdm apptainer`; built by envs/build-image.
container: f"{workflow.basedir}/testtime.sif"


include: "workflow/rules/common.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/analysis.smk"
include: "workflow/rules/present.smk"


from testtime.study.resources import translate

# Some schedulers read other names of GPUs and memory: those that their profile lists.
for known in workflow.rules:
    translate(known.resources)


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        TABLE_FILES,
        FIGURE_FILES,
        [LAYOUT.path("notebook_table", notebook=name) for name in NOTEBOOKS],
        LAYOUT.pattern("report"),
    localrule: True


onstart:
    # Snakemake's own lock would outlive a killed run, see profiles/default.
    try:
        hold(LAYOUT.results)
    except UserError as error:
        raise WorkflowError(str(error)) from None
    if STORAGE is not None:
        print(f"no lock on {HOME}: all runs there must have the same settings", file=sys.stderr)


onsuccess:
    from testtime.present.report.finding import closing_words

    try:
        print(closing_words(STUDY) if STORAGE is None else f"Results: {HOME}\n", end="")
    except UserError as error:
        raise WorkflowError(str(error)) from None


onerror:
    print(
        "Finished files are kept: mend what the logs above name, then give the same command again.\n"
        f"All logs: {HOME}/{folder('log')}",
        file=sys.stderr,
    )

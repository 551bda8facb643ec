from testtime.present.notebook import run_notebook
from testtime.runtime.job import job


def main(inputs, params, config, output, executed):
    files = {name: paths if isinstance(paths, str) else list(paths) for name, paths in inputs}
    source = files.pop("notebook")
    given = {"input": files, "params": params, "config": config, "output": output}
    run_notebook(source, executed, given)


with job(snakemake.log[0]):
    main(
        snakemake.input.items(),
        dict(snakemake.params.items()),
        snakemake.config,
        list(snakemake.output),
        snakemake.log.notebook,
    )

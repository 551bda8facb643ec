# What the figures share: which there are, their files, what they are told of the study.
from testtime.present import figures

# What all figures are told: policies by size, PRMs, and the one scoring and vote that are drawn.
SIZES = {policy: CATALOG.policy(policy).parameters for policy in config["policies"]}
SHOWN = config["figures"]
SMALLEST = min(SIZES, key=SIZES.get)
HEADLINE = figures.headline_budget(config["budgets"])


def get_figures():
    """Every file of every figure."""
    return [path for name in STUDY.figures() for path in figure_files(name).values()]


def figure_files(name):
    return {
        "png": f"{RESULTS}/figures/{name}.png",
        "pdf": f"{RESULTS}/figures/{name}.pdf",
        "data": f"{RESULTS}/figures/data/{name}.csv",
    }


def figure(name):
    """A figure's outputs, the picture with its place in Snakemake's report."""
    files = figure_files(name)
    labels = {"figure": figures.TITLES[name]}
    caption = f"../report/{name}.rst"
    return files | {"png": report(files["png"], caption=caption, category="Figures", labels=labels)}


def get_prm_quality():
    """The measured quality of PRMs, for figures with room for one PRM."""
    return {"quality": f"{RESULTS}/tables/prm_quality.csv"} if STUDY.has_quality() else {}

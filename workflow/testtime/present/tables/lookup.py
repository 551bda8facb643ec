"""The compute-optimal choice per context, cross-fitted beside the published in-sample one."""

from testtime.compare.prm_worth import mean_quality
from testtime.data.samples import read_cells
from testtime.data.store import read_csv, read_json, read_parquet
from testtime.fit.cells import Settings
from testtime.fit.cost_axis import cost_choices, cost_fits, cost_table
from testtime.fit.lookup import lookup
from testtime.fit.plans import make_plans
from testtime.fit.predict import calibration_table
from testtime.fit.select import binning_table, choice_table, compute_optimal_table, fit_study
from testtime.fit.transfer import transfer_table
from testtime.fit.tree import fit_tree, tree_contexts
from testtime.present.registry import Tables
from testtime.study.catalog import PolicySpec, PrmSpec
from testtime.study.vocabulary import ALL, CHOSEN, LEVEL

TABLES = Tables(
    "fit",
    tables={
        "compute_optimal": "Compute-optimal TTS per policy, PRM and budget, cross-fitted and not; "
        "by level of difficulty where that pays, else one strategy for all problems.",
        "by_cost": "Compute-optimal TTS over generated tokens, FLOPs, seconds or latency per "
        "problem instead of N; seconds follow from the tokens at the catalog's rates, latency from "
        "what must wait for what, the GPU working on one problem alone.",
        "cost_choices": "The strategy chosen for each amount of tokens, FLOPs, seconds or latency.",
        "choices": "The chosen strategy per context and difficulty.",
        "binnings": "Gain from knowing a problem's difficulty over one strategy for all.",
        "transfer": "Strategies chosen on the other policies and used on this one.",
        "calibration": "Predicted against observed difficulty.",
    },
    files=("lookup",),
    inputs=("outcomes", "difficulty", "predictions", "predictors"),
    optional=("prm_quality",),
    settings=(
        "study",
        "fit",
        "evaluate",
        "difficulty",
        "seed",
        "beam_width",
        "paths_end_at",
        "policies",
        "prm_parameters",
        "rates",
    ),
    heavy=True,
)
BINNINGS = (ALL, LEVEL, CHOSEN, "quantile")


def make(inputs: dict, settings: dict) -> dict:
    """Every binning of difficulty is fitted once and serves all tables and the lookup."""
    outcomes, difficulty = read_parquet(*inputs["outcomes"]), read_cells(inputs["difficulty"])
    predictions = read_parquet(*inputs["predictions"])
    predictors = [entry for path in inputs["predictors"] for entry in read_json(path)]
    of_fit = Settings.of_study(settings)
    by_binning = {
        binning: fit_study(outcomes, difficulty, of_fit, binning=binning) for binning in BINNINGS
    }
    by_level, chosen = by_binning[LEVEL], by_binning[CHOSEN]
    predicted = fit_study(outcomes, predictions, of_fit, binning="predicted_level")
    fits = [fit for binning in BINNINGS for fit in by_binning[binning]]
    quality = mean_quality(*map(read_csv, inputs["prm_quality"]))
    by_cost = cost_fits(outcomes, difficulty, of_fit, settings["rates"])
    sizes = settings["policies"]
    return {
        "compute_optimal": compute_optimal_table(chosen),
        "by_cost": cost_table(by_cost),
        "cost_choices": cost_choices(by_cost),
        "choices": choice_table(fits),
        "binnings": binning_table([*fits, *predicted], of_fit.confidence),
        "transfer": transfer_table(by_level, outcomes, difficulty, of_fit),
        "calibration": calibration_table(predictions),
        "lookup": lookup(
            [fit for fit in fits if fit.binning != LEVEL],
            of_fit,
            study=settings["study"],
            difficulty=settings["difficulty"],
            policies=[PolicySpec(*size) for size in sizes.items()],
            prms=[PrmSpec(*size) for size in settings["prm_parameters"].items()],
            prm_quality=quality,
            rates=settings["rates"],
            tree=fit_tree(tree_contexts(chosen, sizes, quality)),
            plans=make_plans(outcomes, predictions, of_fit, n_probe=predictors[0]["n_probe"]),
            predictors=predictors,
            by_cost=by_cost,
            beam_width=settings["beam_width"],
            paths_end_at=settings["paths_end_at"],
        ),
    }

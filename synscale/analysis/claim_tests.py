"""Each claim of the paper's abstract as hypotheses, tested on the data of a study.

The abstract has words, no numbers: hypotheses and tests are this project's.
"""

import numpy as np
import pandas as pd

from synscale.analysis import effects, metrics, per_class
from synscale.analysis.claim_data import (
    LOG_LOSS,
    RHO,
    SIZES,
    ClaimRow,
    Data,
    K,
    against_real,
    interval,
    names,
)
from synscale.analysis.decisions import Test, bound_test, decide
from synscale.analysis.effects import Effect
from synscale.report import tables

NO_EFFECT = Effect(np.nan, np.nan, np.nan, 0)
FEWEST = 4  # configurations of a rank correlation
FACTORS = {
    "guidance": "The guidance scale",
    "recipes": "The prompt recipe",
    "generators": "The generator",
}


def clip_is_a_little_lower(data: Data) -> list[ClaimRow]:
    """Test that the exponents of CLIP on synthetic pairs are a little lower than on real ones."""
    s = data.settings
    rows = []
    for law in filter(None, [s.clip_law, s.clip_downstream_law]):
        for curve in s.clip_curves:
            effect, n_of, note = data.mean_difference(law, [curve])
            claim = "CLIP: synthetic images scale like real ones, a little lower"
            claim += "" if law == s.clip_law else " (downstream)"
            hypothesis = f"k(synthetic) − k(real) lies between −{s.min_difference:g} and 0"
            where = against_real(data, [curve], mean=""), data.evaluation(law)
            test = bound_test(effect, above=-s.min_difference, below=0)
            rows.append(ClaimRow(claim, hypothesis, *where, n_of, K, effect, test, note))
    return rows


def supervised_is_much_lower(data: Data) -> list[ClaimRow]:
    """Test that the exponents of classifiers on synthetic images are much lower."""
    s = data.settings
    effect, n_of, note = data.mean_difference(s.law, s.curves)
    claim = "Supervised: synthetic images scale much worse than real ones"
    hypothesis = f"mean k(synthetic) − k(real) is below −{s.min_difference:g}"
    where = against_real(data, s.curves), data.evaluation(s.law)
    test = bound_test(effect, below=-s.min_difference)
    return [ClaimRow(claim, hypothesis, *where, n_of, K, effect, test, note)]


def factors_matter(data: Data) -> list[ClaimRow]:
    """Test that guidance scale, recipe and generator, of which the study has curves, change k."""
    s = data.settings
    rows = []
    for key, factor in FACTORS.items():
        curves = getattr(s, key)
        if not curves:
            continue
        n_of = SIZES
        effect, test, note = NO_EFFECT, Test(np.nan, np.nan), "only one curve: nothing to compare"
        if len(curves) > 1:
            if s.draws:
                draws = [data.points_by_draw(s.law, curve) for curve in curves]
                result = effects.spread_over_draws(draws, s.min_difference)
                n_of = "draws of curves"
                method = "an analysis of variance with an effect of each draw of the images"
            else:
                points = [data.points(s.law, curve) for curve in curves]
                result = effects.spread(points, s.min_difference)
                method = "one regression with an effect of each size"
            exponents = ", ".join(
                f"{curve.label} {tables.number(k)}"
                for curve, k in zip(curves, result.exponents, strict=True)
            )
            effect, test = result.effect, Test(result.p, result.p_alike)
            note = (
                f"largest k minus smallest, {method}, Tukey's interval, p by F-test; k: {exponents}"
            )
        claim = f"{factor} matters to scaling"
        hypothesis = (
            "the exponents k are not all equal; the opposite: they differ by less than "
            f"{s.min_difference:g}"
        )
        where = f"{names(curves)}, {s.architecture}", data.evaluation(s.law)
        rows.append(ClaimRow(claim, hypothesis, *where, n_of, K, effect, test, note))
    return rows


def scaling_goes_with_performance(data: Data) -> list[ClaimRow]:
    """Test that configurations with a higher exponent have a lower loss over all sizes.

    The exponent is a slope of log loss on log size, and the mean is at their centre, so that noise
    of the losses makes no correlation of the two.
    """
    s = data.settings
    groups = (s.curves, s.guidance, s.recipes, s.generators)
    curves = list({curve.key: curve for group in groups for curve in group}.values())
    claim = "Supervised: scaling ability goes with overall performance"
    hypothesis = "configurations with a higher k have a lower loss: correlation above 0"
    where = f"{names(curves)}, {s.architecture}", data.evaluation(s.law)
    n_of = "configurations"
    if len(curves) < FEWEST:
        effect, test = NO_EFFECT, Test(np.nan, np.nan)
        note = f"a rank correlation needs {FEWEST} configurations"
        return [ClaimRow(claim, hypothesis, *where, n_of, RHO, effect, test, note)]
    x, y = effects.common_sizes([data.points(s.law, curve) for curve in curves])
    table = pd.DataFrame({"k": -np.polyfit(x, y.T, 1)[0], "performance": -y.mean(1)})
    largest = [data.fitted_runs(s.law, curve) for curve in curves]
    is_largest = [np.isclose(runs["size"], np.exp(x[-1])) for runs in largest]
    pairs = zip(largest, is_largest, strict=True)
    table = table.assign(top1=[runs["top1"][mask].mean() for runs, mask in pairs])
    table = table.assign(configuration=range(len(curves)), all=0)
    rho, top1 = (
        per_class.rank_correlation(table, score, by="configuration")
        for score in ("performance", "top1")
    )
    test = Test(*per_class.permutation_p(table, "performance", ["all"], by="configuration"))
    note = (
        "Spearman's rho of k and the mean log loss over "
        f"{len(x)} sizes that all have, with its sign reversed; bootstrap over configurations, p "
        f"by permutations of them; with top-1 at {np.exp(x[-1]):,.0f} images "
        f"{tables.interval(top1['rho'], top1['low'], top1['high'])}"
    )
    effect = Effect(rho["rho"], rho["low"], rho["high"], rho["n"])
    return [ClaimRow(claim, hypothesis, *where, n_of, RHO, effect, test, note)]


def concepts_limit(data: Data, scores: pd.DataFrame) -> list[ClaimRow]:
    """Test that recognizable classes scale better.

    Parameters
    ----------
    data : Data
    scores : DataFrame
        As `result_files.class_scores` returns it.
    """
    s = data.settings
    keys = ["source", "guidance", "class_id"]
    scores = scores[[*keys, "recognizability", "diversity"]]
    laws = per_class.class_laws(data.table, s.laws[s.law], s.curves)
    table = laws.merge(scores, on=keys, validate="one_to_one")
    rho, other = (
        per_class.rank_correlation(table, score, within=per_class.CURVE)
        for score in ("recognizability", "diversity")
    )
    note = (
        "Spearman's rho of ranks within each curve, bootstrap over "
        f"{rho['clusters']} classes, p by permutations of them; "
        f"of diversity: {tables.interval(other['rho'], other['low'], other['high'])}"
    )
    test = Test(*per_class.permutation_p(table, "recognizability", within=per_class.CURVE))
    claim = "Supervised: concepts that generators cannot draw hold scaling back"
    hypothesis = "classes that are more recognizable have a higher k: correlation above 0"
    where = f"classes of {names(s.curves)}, {s.architecture}", data.evaluation(s.law)
    effect = Effect(rho["rho"], rho["low"], rho["high"], rho["n"])
    return [ClaimRow(claim, hypothesis, *where, "classes of curves", RHO, effect, test, note)]


def synthetic_helps_few_real(data: Data) -> list[ClaimRow]:
    """Test that synthetic images lower the loss of models trained on few real ones."""
    s = data.settings.few_real
    if s is None:
        return []
    runs = metrics.of_experiments(metrics.overall(data.table, s.evaluation), s.experiments)
    real = metrics.of_curve(runs, s.real, None, s.architecture)
    rows = []
    for mixture in sorted(s.mixtures, key=lambda row: row.real_images):
        both = metrics.of_curve(runs, mixture.source, None, s.architecture)
        both = both[both["size"] == both["size"].max()]
        real_only = real[real["size"] == mixture.real_images]
        effect = effects.mean_effect(effects.log_ratios(both, real_only))
        added = int(both["size"].iloc[0]) - mixture.real_images
        top1 = [tables.number(100 * part["top1"].mean(), 1) for part in (real_only, both)]
        claim = "Supervised: synthetic images help where real ones are few"
        number = f"{added:,} synthetic images added to {mixture.real_images:,} real ones"
        hypothesis = f"with {number} the loss is lower"
        where = f"{mixture.source} against {s.real}, {s.architecture}", s.evaluation
        test = bound_test(effect, below=0)
        accuracy = f"top-1 {top1[0]} % on real images only, {top1[1]} % with synthetic images"
        note = f"runs of one seed are compared; {accuracy}"
        row = ClaimRow(claim, hypothesis, *where, "pairs of seeds", LOG_LOSS, effect, test, note)
        rows.append(row)
    return rows


def synthetic_helps_out_of_distribution(data: Data) -> list[ClaimRow]:
    """Test that exponents out of distribution are higher on synthetic images."""
    s = data.settings
    inside, _, _ = data.mean_difference(s.law, s.curves)
    rows = []
    for law in s.ood_laws:
        effect, n_of, method = data.mean_difference(law, s.curves)
        claim = "Supervised: synthetic images scale well out of distribution"
        hypothesis = "mean k(synthetic) − k(real) is above 0"
        where = against_real(data, s.curves), data.evaluation(law)
        test = bound_test(effect, above=0)
        note = f"in distribution {interval(inside)}; {method}"
        rows.append(ClaimRow(claim, hypothesis, *where, n_of, K, effect, test, note))
    return rows


def synthetic_helps_real_in_clip(data: Data) -> list[ClaimRow]:
    """Test that synthetic pairs lower the loss of CLIP models trained on as many real ones."""
    s = data.settings
    if not s.clip_pairs:
        return []
    runs = data.runs(s.clip_law)
    both = metrics.of_curve(runs, s.clip_mixture, None, s.clip_architecture)
    real_only = metrics.of_curve(runs, s.clip_real, None, s.clip_architecture)
    ratios = {
        count: effects.log_ratios(both[both["size"] == size], real_only[real_only["size"] == count])
        for size, count in s.clip_pairs
    }
    n_of, effect = "numbers of real pairs", effects.over_sizes(ratios)
    if s.draws:
        n_of, effect = "draws of images", effects.mean_effect(effects.by_draw(ratios, s.draws))
    by_count = ", ".join(
        f"{count:,}: × {tables.number(np.exp(part.mean()))}" for count, part in ratios.items()
    )
    claim = "CLIP: synthetic images help together with real ones"
    hypothesis = "with as many synthetic pairs added to the real ones the loss is lower"
    curves = f"{s.clip_mixture} against its real half, {s.clip_architecture}"
    where = curves, data.evaluation(s.clip_law)
    test = bound_test(effect, below=0)
    note = f"Student's interval over them, seeds averaged; ratio at each: {by_count}"
    return [ClaimRow(claim, hypothesis, *where, n_of, LOG_LOSS, effect, test, note)]


def claims_table(data: Data, scores: pd.DataFrame) -> pd.DataFrame:
    """Test every claim, or each part of one.

    Parameters
    ----------
    data : Data
    scores : DataFrame
        As `result_files.class_scores` returns it.

    Returns
    -------
    DataFrame
        A row for each hypothesis, with p values, their adjustment over all rows, and verdicts.
    """
    rows = [
        *factors_matter(data),
        *clip_is_a_little_lower(data),
        *supervised_is_much_lower(data),
        *concepts_limit(data, scores),
        *scaling_goes_with_performance(data),
        *synthetic_helps_few_real(data),
        *synthetic_helps_out_of_distribution(data),
        *synthetic_helps_real_in_clip(data),
    ]
    table = pd.DataFrame([row.columns() for row in rows])
    note = table.pop("note")
    decisions = pd.DataFrame(decide([row.test for row in rows]))
    decisions.columns = ["p_adjusted", "p_opposite_adjusted", "verdict"]
    return table.join(decisions).assign(note=note)

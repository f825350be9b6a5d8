"""Each claim of the paper's abstract as a hypothesis, tested on this study's data. Hypotheses and
tests are ours: the abstract has words.

Each hypothesis and its opposite have a p value; Holm's method adjusts those of all rows together.
verdict: "holds" if the adjusted p of the hypothesis is below 0.05, "does not hold" if that of the
opposite is, else "undecided".
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from synscale.analysis import claims, metrics, per_class
from synscale.analysis.claims import Effect, Test
from synscale.report import html, tables
from synscale.runtime import cli
from synscale.workflow.settings import tables as table_settings

K, LOG_LOSS, RHO = "difference of k", "difference of log loss", "rank correlation"
WELCH = "one line through the mean log loss of the curves, Welch and Satterthwaite's interval"
SIZES = "sizes of curves"  # the points that exponents are fitted to
RULE = (
    "Each row has two tests: one for the hypothesis and one for its opposite. Their {tests} p values are adjusted together by Holm's method. "
    "A hypothesis holds if its adjusted p is below 0.05, does not hold if that of the opposite is, and is undecided otherwise. The probability "
    "that any verdict is wrong is at most 5 %, as far as each test is right. Intervals are those of each row, without adjustment. They are of "
    "these curves on these sets: what another generator, or other test images, would change is not in them. {images} If a larger set is "
    "trained on for more iterations (table of hyper-parameters), a gain is not that of the images alone."
)
SAME_IMAGES = (
    "Seeds repeat training on the same images, and sizes are nested: what another draw of images would change is in no interval, and intervals of k cover "
    "less than 95 % of it (docs/statistics.md)."
)
OTHER_IMAGES = (
    "Seeds redraw images: intervals over seeds, and over draws of images, contain the draw."
)


class Data:
    """The tables that claims are tested on. settings: shown_tables.claims_settings; table:
    `metrics.read`.
    """

    def __init__(self, table: pd.DataFrame, settings: dict):
        self.table, self.settings, self._laws = table, settings, {}

    def runs(self, law: str) -> pd.DataFrame:
        """Every run of a law's experiments."""
        if law not in self._laws:
            own = self.settings["laws"][law]
            # CLIP models have metrics on tasks that classifiers have none on.
            architectures = {
                architecture
                for experiment in own["experiments"]
                for architecture in experiment["architectures"]
            }
            table = self.table[self.table["architecture"].isin(architectures)]
            self._laws[law] = metrics.of_experiments(
                metrics.overall(table, own["evaluation"]), own["experiments"]
            )
        return self._laws[law]

    def fitted(self, law: str, curve: dict) -> pd.DataFrame:
        """Return the runs that a law is fitted to."""
        found = metrics.of_curve(
            self.runs(law), curve["source"], curve["guidance"], curve["architecture"]
        )
        return found[found["size"].between(*self.settings["laws"][law]["sizes"])]

    def curve(self, law: str, curve: dict) -> tuple:
        """(sizes, losses) of the runs that a law is fitted to."""
        found = self.fitted(law, curve)
        return found["size"].to_numpy(), found["cross_entropy"].to_numpy()

    def by_draw(self, law: str, curve: dict) -> list[tuple]:
        """Return the curve of each draw of the images."""
        found = self.fitted(law, curve)
        draws = found.groupby(found["seed"] % self.settings["draws"])
        return [(own["size"].to_numpy(), own["cross_entropy"].to_numpy()) for _, own in draws]

    def real(self, architecture: str) -> dict:
        """Return the curve of the real images."""
        name = "clip_real" if architecture == self.settings["clip_architecture"] else "real"
        return {"source": self.settings[name], "guidance": None, "architecture": architecture}

    def mean_difference(self, law: str, curves: list[dict]) -> tuple[Effect, str, str]:
        """Return mean k of curves minus that of the real images; what its n counts; and how the
        interval is found.
        """
        real = self.real(curves[0]["architecture"])
        if "draws" in self.settings:
            effect = claims.over_draws(
                claims.mean_difference,
                [self.by_draw(law, curve) for curve in curves],
                self.by_draw(law, real),
            )
            return effect, "draws of images", "Student's interval over draws of the images"
        synthetic, alone = [self.curve(law, curve) for curve in curves], self.curve(law, real)
        if len(curves) == 1 and real["architecture"] == self.settings["clip_architecture"]:
            effect, note = (
                claims.difference(alone, *synthetic),
                "one regression with a line for each curve",
            )
        else:
            effect, note = claims.mean_difference(synthetic, alone), WELCH
        return effect, SIZES, note + at_same_sizes(synthetic, alone)

    def evaluation(self, law: str) -> str:
        names = self.settings["laws"][law]["evaluation"]
        return names[0] if len(names) == 1 else f"mean of {', '.join(names)}"


def row(
    claim: str,
    hypothesis: str,
    on: tuple[str, str, str],
    unit: str,
    effect: Effect,
    test: Test,
    note: str = "",
) -> dict:
    """Return a row of the table without its verdict, which depends on all rows.

    Parameters
    ----------
    claim, hypothesis, unit, note : str
    on : tuple of str
        Curves, evaluation, and what n counts.
    effect : Effect
        A difference of log loss is given as a ratio of losses too.
    test : Test
    """
    ends = {"effect": effect.value, "low": effect.low, "high": effect.high}
    ratio = {
        key.replace("effect", "ratio")
        .replace("low", "ratio_low")
        .replace("high", "ratio_high"): np.exp(v)
        for key, v in ends.items()
    }
    found = {
        "claim": claim,
        "hypothesis": hypothesis,
        "curves": on[0],
        "evaluation": on[1],
        "n": effect.n,
        "n_of": on[2],
        "unit": unit,
    } | ends
    found |= ratio if unit == LOG_LOSS else dict.fromkeys(ratio, np.nan)
    return found | {"p": test.p, "p_opposite": test.p_opposite, "note": note}


def names(curves: list[dict]) -> str:
    """As the study's file names them, each with its guidance scale."""
    return ", ".join(
        curve["source"] + ("" if curve["guidance"] is None else f" at {curve['guidance']:g}")
        for curve in curves
    )


def at_same_sizes(synthetic: list[tuple], real: tuple) -> str:
    """Return the mean difference of k at the sizes that all curves have. Empty if there are fewer
    than three.
    """
    common = sorted(set.intersection(*(set(map(int, sizes)) for sizes, _ in [*synthetic, real])))
    if len(common) < 3:
        return ""
    *curves, alone = [
        (sizes[chosen], losses[chosen])
        for sizes, losses in [*synthetic, real]
        for chosen in [np.isin(sizes, common)]
    ]
    effect = claims.mean_difference(curves, alone)
    told = tables.interval(effect.value, effect.low, effect.high)
    return (
        f"; at the {len(common)} sizes that all curves have ({tables.sizes(common)} images) {told}"
    )


def clip_is_a_little_lower(data: Data) -> list[dict]:
    s, rows = data.settings, []
    for law in filter(None, [s["clip_law"], s["clip_downstream_law"]]):
        for curve in s["clip_curves"]:
            effect, n_of, note = data.mean_difference(law, [curve])
            rows.append(
                row(
                    "CLIP: synthetic images scale like real ones, a little lower"
                    + (" (downstream)" if law != s["clip_law"] else ""),
                    f"k(synthetic) − k(real) lies between −{s['min_difference']:g} and 0",
                    (
                        f"{names([curve])} against {s['clip_real']}, {s['clip_architecture']}",
                        data.evaluation(law),
                        n_of,
                    ),
                    K,
                    effect,
                    claims.test_bounds(effect, above=-s["min_difference"], below=0),
                    note,
                )
            )
    return rows


def supervised_is_much_lower(data: Data) -> list[dict]:
    s = data.settings
    effect, n_of, note = data.mean_difference(s["law"], s["curves"])
    on = (
        f"mean of {names(s['curves'])} against {s['real']}, {s['architecture']}",
        data.evaluation(s["law"]),
        n_of,
    )
    test = claims.test_bounds(effect, below=-s["min_difference"])
    hypothesis = f"mean k(synthetic) − k(real) is below −{s['min_difference']:g}"
    return [
        row(
            "Supervised: synthetic images scale much worse than real ones",
            hypothesis,
            on,
            K,
            effect,
            test,
            note,
        )
    ]


def factors_matter(data: Data) -> list[dict]:
    s, rows = data.settings, []
    for key, factor in (
        ("guidance", "The guidance scale"),
        ("recipes", "The prompt recipe"),
        ("generators", "The generator"),
    ):
        claim, hypothesis = (
            f"{factor} matters to scaling",
            f"the exponents k are not all equal; the opposite: they differ by less than {s['min_difference']:g}",
        )
        on = (f"{names(s[key])}, {s['architecture']}", data.evaluation(s["law"]), SIZES)
        if len(s[key]) < 2:
            nothing = Effect(np.nan, np.nan, np.nan, 0)
            rows.append(
                row(
                    claim,
                    hypothesis,
                    on,
                    K,
                    nothing,
                    Test(np.nan, np.nan),
                    "one curve alone: nothing to compare",
                )
            )
            continue
        if "draws" in s:
            effect, test, each = claims.spread_over_draws(
                [data.by_draw(s["law"], curve) for curve in s[key]], s["min_difference"]
            )
            on, found = (
                (*on[:2], "draws of curves"),
                "an analysis of variance with an effect of each draw of the images",
            )
        else:
            effect, test, each = claims.spread(
                [data.curve(s["law"], curve) for curve in s[key]], s["min_difference"]
            )
            found = "one regression with an effect of each size"
        told = ", ".join(
            f"{curve['label']} {tables.number(k)}" for curve, k in zip(s[key], each, strict=True)
        )
        note = f"largest k minus smallest, {found}, Tukey's interval, p by F-test; k: {told}"
        rows.append(row(claim, hypothesis, on, K, effect, test, note))
    return rows


def concepts_limit(data: Data, scores: pd.DataFrame) -> list[dict]:
    """scores: source, guidance, class_id, recognizability, diversity."""
    s = data.settings
    table = per_class.class_laws(data.table, s["laws"][s["law"]], s["curves"]).merge(
        scores, on=["source", "guidance", "class_id"], validate="one_to_one"
    )
    found, other = (
        per_class.rank_correlation(table, score, within=per_class.CURVE)
        for score in ("recognizability", "diversity")
    )
    effect = Effect(found["rho"], found["low"], found["high"], found["n"])
    note = (
        f"Spearman's rho of ranks within each curve, bootstrap over {found['clusters']} classes, p by permutations of them; "
        f"of diversity: {tables.interval(other['rho'], other['low'], other['high'])}"
    )
    claim = "Supervised: concepts that generators cannot draw hold scaling back"
    hypothesis = "classes that are more recognizable have a higher k: correlation above 0"
    on = (
        f"classes of {names(s['curves'])}, {s['architecture']}",
        data.evaluation(s["law"]),
        "classes of curves",
    )
    test = Test(*per_class.permutation_p(table, "recognizability", within=per_class.CURVE))
    return [row(claim, hypothesis, on, RHO, effect, test, note)]


def synthetic_helps_few_real(data: Data) -> list[dict]:
    limited, rows = data.settings["limited"], []
    if limited is None:
        return rows
    runs = metrics.of_experiments(
        metrics.overall(data.table, limited["evaluation"]), limited["experiments"]
    )
    for mixture in sorted(limited["mixtures"], key=lambda own: own["real_images"]):
        own = metrics.of_curve(runs, mixture["source"], None, limited["architecture"])
        own = own[own["size"] == own["size"].max()]
        alone = metrics.of_curve(runs, limited["real"], None, limited["architecture"])
        alone = alone[alone["size"] == mixture["real_images"]]
        effect = claims.mean_effect(claims.log_ratios(own, alone))
        added = int(own["size"].iloc[0]) - mixture["real_images"]
        claim = "Supervised: synthetic images help where real ones are few"
        hypothesis = f"with {added:,} synthetic images added to {mixture['real_images']:,} real ones the loss is lower"
        top1 = [tables.number(100 * part["top1"].mean(), 1) for part in (alone, own)]
        note = f"runs of one seed are compared; top-1 {top1[0]} % alone, {top1[1]} % with synthetic images"
        on = (
            f"{mixture['source']} against {limited['real']}, {limited['architecture']}",
            limited["evaluation"],
            "pairs of seeds",
        )
        rows.append(
            row(claim, hypothesis, on, LOG_LOSS, effect, claims.test_bounds(effect, below=0), note)
        )
    return rows


def synthetic_helps_out_of_distribution(data: Data) -> list[dict]:
    s, rows = data.settings, []
    inside, _, _ = data.mean_difference(s["law"], s["curves"])
    for law in s["ood_laws"]:
        effect, n_of, found = data.mean_difference(law, s["curves"])
        claim, hypothesis = (
            "Supervised: synthetic images scale well out of distribution",
            "mean k(synthetic) − k(real) is above 0",
        )
        on = (
            f"mean of {names(s['curves'])} against {s['real']}, {s['architecture']}",
            data.evaluation(law),
            n_of,
        )
        note = f"in distribution {tables.interval(inside.value, inside.low, inside.high)}; {found}"
        rows.append(
            row(claim, hypothesis, on, K, effect, claims.test_bounds(effect, above=0), note)
        )
    return rows


def synthetic_helps_real_in_clip(data: Data) -> list[dict]:
    s = data.settings
    runs = data.runs(s["clip_law"])
    both = metrics.of_curve(runs, s["clip_mixture"], None, s["clip_architecture"])
    alone = metrics.of_curve(runs, s["clip_real"], None, s["clip_architecture"])
    ratios = {
        count: claims.log_ratios(both[both["size"] == size], alone[alone["size"] == count])
        for size, count in s["clip_pairs"]
    }
    if not ratios:
        return []
    n_of, effect = "numbers of real pairs", claims.over_sizes(ratios)
    if "draws" in s:
        n_of, effect = "draws of images", claims.mean_effect(claims.by_draw(ratios, s["draws"]))
    told = ", ".join(
        f"{count:,}: × {tables.number(np.exp(part.mean()))}" for count, part in ratios.items()
    )
    note = f"Student's interval over them, seeds averaged; ratio at each: {told}"
    hypothesis = "with as many synthetic pairs added to the real ones the loss is lower"
    on = (
        f"{s['clip_mixture']} against its real half, {s['clip_architecture']}",
        data.evaluation(s["clip_law"]),
        n_of,
    )
    test = claims.test_bounds(effect, below=0)
    return [
        row(
            "CLIP: synthetic images help together with real ones",
            hypothesis,
            on,
            LOG_LOSS,
            effect,
            test,
            note,
        )
    ]


def tested(data: Data, scores: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each claim, or for each part of one, with p values, their adjustment over
    all rows, and verdicts.
    """
    rows = [
        *factors_matter(data),
        *clip_is_a_little_lower(data),
        *supervised_is_much_lower(data),
        *concepts_limit(data, scores),
    ]
    rows += [
        *synthetic_helps_few_real(data),
        *synthetic_helps_out_of_distribution(data),
        *synthetic_helps_real_in_clip(data),
    ]
    tidy = pd.DataFrame(rows)
    decisions = claims.decide([Test(*p) for p in tidy[["p", "p_opposite"]].to_numpy()])
    note = tidy.pop("note")
    tidy["p_adjusted"] = [decision.p for decision in decisions]
    tidy["p_opposite_adjusted"] = [decision.p_opposite for decision in decisions]
    return tidy.assign(verdict=[decision.verdict for decision in decisions], note=note)


def p_text(p: float, adjusted: float) -> str:
    """Return `0.0012 (0.03)`: p and, in brackets, adjusted p. Empty if there is none."""
    return (
        ""
        if pd.isna(p)
        else " ".join(
            text.format("<0.0001" if own < 1e-4 else f"{own:.2g}")
            for text, own in (("{}", p), ("({})", adjusted))
        )
    )


def effect_text(row: pd.Series) -> str:
    told = tables.interval(row["effect"], row["low"], row["high"])
    if row["unit"] == LOG_LOSS:
        return f"loss × {tables.interval(row['ratio'], row['ratio_low'], row['ratio_high'])}"
    return {K: f"Δk = {told}", RHO: f"ρ = {told}"}[row["unit"]]


def readable(tidy: pd.DataFrame, redrawn: bool) -> list[str]:
    """Return Markdown: the verdicts as a table, then what each row was measured on."""
    read = pd.DataFrame(
        {"": range(1, len(tidy) + 1), "claim": tidy["claim"], "hypothesis": tidy["hypothesis"]}
    )
    read["effect [95 %]"] = tidy.apply(effect_text, axis=1)
    for name, column in (("p (adjusted)", "p"), ("p of the opposite (adjusted)", "p_opposite")):
        read[name] = [p_text(*own) for own in tidy[[column, f"{column}_adjusted"]].to_numpy()]
    read["verdict"] = tidy["verdict"]
    notes = [
        f"{place}. {r.curves}; on {r.evaluation}; {r.n} {r.n_of}. {html.literal(r.note[:1].upper() + r.note[1:])}."
        for place, r in enumerate(tidy.itertuples(), 1)
    ]
    tests = int(tidy[["p", "p_opposite"]].notna().to_numpy().sum())
    return [
        tables.markdown(read),
        "## Measured on",
        "\n".join(notes),
        "## Rule",
        RULE.format(tests=tests, images=OTHER_IMAGES if redrawn else SAME_IMAGES),
    ]


def class_scores(paths: list[str]) -> pd.DataFrame:
    entries = [
        entry for path in paths for entry in json.loads(Path(path).read_text(encoding="utf-8"))
    ]
    rows = [
        {"source": e["source"], "guidance": e["guidance"]} | own
        for e in entries
        for own in e["per_class"]
    ]
    return pd.DataFrame(rows)[
        ["source", "guidance", "class_id", "recognizability", "diversity"]
    ].astype({"guidance": "Float64"})


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(
        tables.arguments(__doc__, "metrics", "scores"), arguments, table_settings.claims_settings
    )
    tidy = tested(Data(metrics.read(args.metrics), settings), class_scores(args.scores))
    said = (
        "Each claim of the paper's abstract, put as a hypothesis that this study's data can decide. k: scaling exponent of cross-entropy, larger is better. "
        "Δk: a difference of two."
    )
    tables.write(
        tidy, ["# Claims of the paper", said, *readable(tidy, "draws" in settings)], args.output
    )


if __name__ == "__main__":
    main()

"""Tables of the digits study from simulated results: whole, tidy, and readable."""

import json
import re
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from scripts import (
    fit_laws,
    tabulate_claims,
    tabulate_configurations,
    tabulate_hyperparameters,
    tabulate_laws,
    tabulate_metrics,
    tabulate_prompts,
    tabulate_versus_paper,
)
from synscale.analysis import metrics
from synscale.report import tables as tabulating
from synscale.study.load import load_study
from synscale.workflow.paths import metric_files
from synscale.workflow.runs import group_runs, training_runs
from synscale.workflow.settings import tables as table_settings
from synscale.workflow.settings.evaluation import score_settings
from synscale.workflow.settings.laws import law_settings
from synscale.workflow.shards import real_sources, synthetic_sources
from tests.support.simulated_metrics import CLASSES, rows_of, score_entries

STUDY = "studies/digits.yaml"
NUMBERS = "data/paper_numbers.csv"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> SimpleNamespace:
    """Simulated results of the digits study: metrics, clip_metrics, laws, scores and prompts, lists
    of files each.
    """
    study, folder, random = (
        load_study(STUDY),
        tmp_path_factory.mktemp("results"),
        np.random.default_rng(0),
    )
    files = {"metrics": [], "clip_metrics": [], "scores": [], "laws": [], "prompts": []}
    for path in metric_files(study):
        *_, kind, source, name = Path(path).parts
        clip, batch = kind == "clip_metrics", Path(name).stem
        evaluations = [*study.data.evaluation, *(study.clip.tasks if clip else [])]
        rows = [
            row
            for run in group_runs(study, source, batch)
            for row in rows_of(run, evaluations, clip, random)
        ]
        files[kind].append(folder / f"{kind}-{source}-{name}")
        pd.DataFrame(rows).astype({"class_id": "Int64", "guidance": "Float64"}).to_parquet(
            files[kind][-1]
        )
    for source in real_sources(study) + synthetic_sources(study):
        files["scores"].append(folder / f"{source}.json")
        files["scores"][-1].write_text(
            json.dumps(score_entries(source, score_settings(study, source).guidance, random))
        )
    tables = {kind: metrics.read(files[kind]) for kind in ("metrics", "clip_metrics")}
    for law in study.laws:
        table = tables["clip_metrics" if law.startswith("clip") else "metrics"]
        own = law_settings(study, law)
        fitted = fit_laws.fit(
            metrics.of_experiments(metrics.overall(table, own["evaluation"]), own["experiments"]),
            own["sizes"],
        )
        (folder / "laws").mkdir(exist_ok=True)
        files["laws"].append(folder / "laws" / f"{law}.json")
        files["laws"][-1].write_text(
            json.dumps({"evaluation": own["evaluation"], "interval": 0.95, "curves": fitted})
        )
    for recipe in study.recipes:
        pool = pd.DataFrame(
            [(c, t, f"{recipe} | {c} {t}") for t in range(3) for c in range(CLASSES)],
            columns=["class_id", "text_id", "text"],
        )
        files["prompts"].append(folder / f"{recipe}.parquet")
        pool.to_parquet(files["prompts"][-1])
    return SimpleNamespace(
        study=study, **{name: [str(path) for path in paths] for name, paths in files.items()}
    )


def tabulate(script, folder, *arguments) -> tuple[pd.DataFrame, str]:
    outputs = [str(folder / f"table.{format}") for format in tabulating.FORMATS]
    script.main(["--study", STUDY, *arguments, "--output", *outputs])
    text = Path(outputs[1]).read_text()
    assert text.startswith("# ")
    assert not re.search(r"\bnan\b|<NA>|None", text), text
    for before, after in pairwise(line for line in text.splitlines() if line):
        if before.startswith("|") and after.startswith("|"):
            assert before.replace("\\|", "").count("|") == after.replace("\\|", "").count("|")
    return pd.read_csv(outputs[0]), text


# -- what every table is made of -------------------------------------------------------------------------------------------------------


def test_numbers_are_told_as_a_reader_reads_them():
    assert tabulating.number(-0.004) == "0.00"
    assert tabulating.number(-1234.56, 1) == "−1,234.6"
    assert tabulating.number(float("inf")) == "∞"
    assert tabulating.number(None) == ""
    assert tabulating.interval(0.25, 0.2, float("inf")) == "0.25 [0.20, ∞]"
    assert tabulating.interval(0.25, None, None) == "0.25"
    assert tabulating.spread(0.5, float("nan")) == "0.50"
    assert tabulating.sizes([480, 30, 480]) == "30 to 480"


def test_a_cell_cannot_end_its_row():
    assert "a\\|b c" in tabulating.markdown(pd.DataFrame({"x": ["a|b\nc"]}))


# -- tables ----------------------------------------------------------------------------------------------------------------------------


def test_prompts_are_those_of_the_first_images(made, tmp_path):
    tidy, text = tabulate(
        tabulate_prompts,
        tmp_path,
        "--classes",
        made.study.classes,
        "--prompts",
        *reversed(made.prompts),
    )
    assert list(tidy["recipe"].drop_duplicates()) == list(made.study.recipes)
    assert (
        tidy.groupby("recipe")["class"].agg(list).map(lambda names: names == ["zero", "one"]).all()
    )
    assert (tidy["texts"] == 3).all()
    assert "captions \\| 0 0" in text


def test_every_configuration_has_its_scores_and_its_use(made, tmp_path):
    tidy, text = tabulate(
        tabulate_configurations, tmp_path, "--scores", *made.scores, "--metrics", *made.metrics
    )
    assert len(tidy) == 1 + sum(
        len(made.study.sources[s].images) for s in synthetic_sources(made.study)
    )
    assert tidy.loc[tidy["source"] == "real", ["fid", "precision", "recall"]].isna().all(axis=None)
    assert tidy["lpips"].notna().all()
    assert (tidy["size"] == 480).all()
    assert (tidy["seeds"] == 3).all()
    assert "480 of them" in text


@pytest.mark.parametrize("table", ["supervised", "ood", "clip"])
def test_every_run_is_in_its_table(made, tmp_path, table):
    tidy, text = tabulate(
        tabulate_metrics,
        tmp_path,
        "--table",
        table,
        "--metrics",
        *(made.clip_metrics if table == "clip" else made.metrics),
    )
    architectures = (made.study.clip if table == "clip" else made.study.classifiers).architectures
    runs = [run for run in training_runs(made.study) if run.architecture in architectures]
    evaluations = table_settings.table_settings(made.study, table)["evaluations"]
    assert tidy["seeds"].sum() == len(runs) * len(evaluations)
    assert list(tidy["evaluation"].drop_duplicates()) == evaluations
    assert ("logit_scale" in tidy) == (table == "clip") == ("logit scale" in text)
    assert "real and synthetic" in text if table == "clip" else "30 real" in text
    assert "hypernyms" not in text  # trained at one size alone: in the csv


def test_a_table_of_metrics_that_are_not_there_is_refused(made, tmp_path):
    with pytest.raises(ValueError, match="no metrics on parity"):
        tabulate(tabulate_metrics, tmp_path, "--table", "clip", "--metrics", *made.metrics)


def test_hyperparameters_are_the_studys(tmp_path):
    tidy, text = tabulate(tabulate_hyperparameters, tmp_path)
    value = tidy.set_index(["part", "name", "key"])["value"]
    assert value["generators", "diffusion", "training.learning_rate"] == "0.002"
    assert value["classifiers: training by size", "480 images", "epochs"] == "13.3"
    assert "diffusion" in text


def test_every_law_is_in_the_table(made, tmp_path):
    tidy, text = tabulate(tabulate_laws, tmp_path, "--laws", *made.laws)
    assert list(tidy["law"].drop_duplicates()) == list(made.study.laws)
    row = tidy[
        (tidy["law"] == "supervised")
        & (tidy["source"] == "real")
        & (tidy["architecture"] == "vit_small")
    ].iloc[0]
    assert row["k"] == pytest.approx(0.6, abs=0.02)
    assert row["k_low"] < row["k"] < row["k_high"]
    assert (row["smallest"], row["largest"], row["sizes"], row["seeds"]) == (30, 480, 5, 3)
    assert "mean loss of v2, sketch" in text


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([1, 1], "of one seed"),
        ([3], "mean ± standard deviation over 3 seeds"),
        ([3, 1], "over 1 to 3 seeds"),
    ],
)
def test_one_seed_has_no_spread(counts, said):
    assert said in tabulating.over_seeds(counts)


def test_a_curve_that_hardly_falls_has_no_scale_in_the_table(made, tmp_path):
    law = json.loads(Path(made.laws[0]).read_text())
    for curve in law["curves"]:
        curve |= fit_laws.laws.fit(
            "power", [30, 60, 120, 240], [2.3, 2.2995, 2.3005, 2.2999]
        ).as_json()
    (tmp_path / f"{Path(made.laws[0]).name}").write_text(json.dumps(law))
    tidy, _ = tabulate(tabulate_laws, tmp_path, "--laws", str(tmp_path / Path(made.laws[0]).name))
    assert tidy["scale"].isna().all()


@pytest.fixture(scope="module")
def claimed(made, tmp_path_factory):
    return tabulate(
        tabulate_claims,
        tmp_path_factory.mktemp("claims"),
        "--metrics",
        *made.metrics,
        *made.clip_metrics,
        "--scores",
        *made.scores,
    )


def test_every_claim_has_the_verdict_that_the_data_were_made_for(claimed):
    tidy, _ = claimed
    verdicts = {claim: own["verdict"].tolist() for claim, own in tidy.groupby("claim", sort=False)}
    assert verdicts == {
        "The guidance scale matters to scaling": ["holds"],
        "The prompt recipe matters to scaling": ["does not hold"],
        "The generator matters to scaling": ["does not hold"],
        "CLIP: synthetic images scale like real ones, a little lower": ["holds"],
        "CLIP: synthetic images scale like real ones, a little lower (downstream)": ["holds"],
        "Supervised: synthetic images scale much worse than real ones": ["holds"],
        "Supervised: concepts that generators cannot draw hold scaling back": ["holds"],
        "Supervised: synthetic images help where real ones are few": ["holds"] * 3,
        "Supervised: synthetic images scale well out of distribution": ["holds"] * 2,
        "CLIP: synthetic images help together with real ones": ["holds"],
    }


def test_effects_are_told_in_their_units(claimed):
    tidy, text = claimed
    own = tidy.set_index("claim")
    assert own.loc[
        "Supervised: synthetic images scale much worse than real ones", "effect"
    ] == pytest.approx(-0.3, abs=0.02)
    both = own.loc["CLIP: synthetic images help together with real ones"]
    assert both["unit"] == "difference of log loss"
    assert both["ratio"] == pytest.approx(np.exp(both["effect"]), rel=1e-5)
    assert (
        own.loc["The guidance scale matters to scaling", "ratio"]
        != own.loc["The guidance scale matters to scaling", "ratio"]
    )  # none
    assert "loss × 0." in text
    assert text.strip().splitlines()[-1].startswith("Each row has two tests")


def test_every_claim_has_p_and_adjusted_p(claimed):
    tidy, text = claimed
    p, adjusted = (tidy[[f"p{end}", f"p_opposite{end}"]].to_numpy() for end in ("", "_adjusted"))
    assert np.isfinite(p).all()
    assert (adjusted >= p).all()
    assert adjusted.ravel() == pytest.approx(multipletests(p.ravel(), method="holm")[1], rel=1e-4)
    assert ((adjusted[:, 0] < 0.05) == (tidy["verdict"] == "holds")).all()
    assert "p (adjusted)" in text
    correlation = tidy[tidy["unit"] == "rank correlation"].iloc[0]
    assert correlation["p"] + correlation["p_opposite"] == pytest.approx(1, abs=0.01)


def test_one_curve_alone_has_nothing_to_be_compared_with(made):
    settings = table_settings.claims_settings(made.study)
    settings |= {"guidance": settings["guidance"][:1], "limited": None}
    rows = tabulate_claims.factors_matter(
        tabulate_claims.Data(metrics.read(made.metrics), settings)
    )
    assert np.isnan([rows[0]["p"], rows[0]["p_opposite"]]).all()
    assert "nothing to compare" in rows[0]["note"]
    assert "none" in tabulate_claims.effect_text(pd.Series(rows[0]))


def test_claims_over_draws_name_the_draws(made):
    settings = table_settings.claims_settings(made.study) | {"draws": 3}
    data = tabulate_claims.Data(metrics.read(made.metrics + made.clip_metrics), settings)
    tidy = tabulate_claims.tested(data, tabulate_claims.class_scores(made.scores))
    k = tidy[tidy["unit"] == "difference of k"]
    assert set(k["n_of"]) == {"draws of images", "draws of curves"}
    assert (k.loc[k["n_of"] == "draws of images", "n"] == 3).all()
    assert np.isfinite(k[["effect", "low", "high", "p"]]).all(axis=None)
    assert k["effect"].iloc[-1] == pytest.approx(0.2, abs=0.02)
    assert (
        "intervals over seeds, and over draws of images, contain the draw"
        in tabulate_claims.readable(tidy, redrawn=True)[-1]
    )


# -- the paper's numbers ---------------------------------------------------------------------------------------------------------------


def test_every_published_number_has_a_name_a_kind_and_a_source():
    numbers = pd.read_csv(NUMBERS, dtype=str, keep_default_na=False)
    assert len(numbers) == 129
    assert numbers["id"].is_unique
    assert numbers["id"].str.fullmatch(r"[a-z0-9_]+").all()
    assert set(numbers["kind"]) == set(tabulate_versus_paper.KINDS)
    assert (numbers[["item", "series", "metric", "value", "source", "confidence"]] != "").all(
        axis=None
    )


@pytest.mark.parametrize(
    ("slope", "curve", "small", "large", "ratio"),
    [
        (f"derived_sd_{recipe}_k", f"vit_b_sd_{recipe}", "1m", "4m", 4)
        for recipe in ("clip_templates", "in_captions", "classnames")
    ]
    + [
        (f"derived_clip_{kind}_k", f"clip_vit_b_{kind}", "64m", "371m", 371 / 64)
        for kind in ("real", "synthetic", "synthetic_and_real")
    ],
)
def test_derived_numbers_follow_from_what_they_are_derived_from(slope, curve, small, large, ratio):
    value = pd.read_csv(NUMBERS, dtype=str, keep_default_na=False).set_index("id")["value"]
    losses = [float(value[f"{curve}_{size}_loss"]) for size in (small, large)]
    assert float(value[slope]) == pytest.approx(
        np.log(losses[0] / losses[1]) / np.log(ratio), abs=0.0005
    )


def test_what_is_said_of_one_generator_is_no_evidence_for_another():
    numbers = pd.read_csv(NUMBERS, dtype=str, keep_default_na=False)
    others = numbers[numbers["series"].isin(["Imagen", "Muse"])]
    assert len(others) == 4
    assert not others["confidence"].str.contains("SD").any()


def test_all_published_numbers_stand_beside_ours(made, tmp_path):
    tidy, text = tabulate(
        tabulate_versus_paper, tmp_path, "--laws", *made.laws, "--numbers", NUMBERS
    )
    counterparts = made.study.tables.versus_paper.counterparts
    assert len(tidy) == 129
    assert set(tidy.loc[tidy["our_k"].notna(), "id"]) == set(counterparts)
    own = tidy.set_index("id").loc["fig1_supervised_imagenet_sd_caption"]
    assert (float(own["value"]), own["our_source"], own["our_guidance"]) == (
        0.247,
        "diffusion_captions",
        1.5,
    )
    assert own["our_k"] == pytest.approx(0.3, abs=0.02)
    assert "| 47 % " in text  # 0.247 of 0.529
    assert (
        text.index("Supervised / Real")
        < text.index("Other published numbers")
        < text.index("Imagen (Caption)")
    )


def test_an_unknown_id_or_curve_is_told(made):
    numbers = pd.read_csv(NUMBERS, dtype=str, keep_default_na=False)
    settings = table_settings.versus_settings(made.study)
    one = settings["counterparts"]["fig1_clip_imagenet_real"]
    fitted = {"clip": {"curves": []}}
    with pytest.raises(SystemExit, match="not in the published numbers: nowhere"):
        tabulate_versus_paper.beside(numbers, settings | {"counterparts": {"nowhere": one}}, fitted)
    with pytest.raises(SystemExit, match=r"laws.clip has no curve \['real', None, 'clip_small'\]"):
        tabulate_versus_paper.beside(
            numbers, settings | {"counterparts": {"fig1_clip_imagenet_real": one}}, fitted
        )

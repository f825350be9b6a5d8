"""The paper's published numbers, and their table next to simulated results of the digits study."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from scripts import tabulate_versus_paper
from synscale.report import versus_paper
from synscale.study.load import load_study
from synscale.workflow.settings.tables import versus_settings
from tests.support.simulated_results import NUMBERS, STUDY, Results, simulate, tabulate


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Results:
    """Simulated results of the digits study."""
    return simulate(tmp_path_factory.mktemp("results"))


def published() -> pd.DataFrame:
    """The published numbers as texts."""
    return pd.read_csv(NUMBERS, dtype=str, keep_default_na=False)


def test_published_numbers_have_name_kind_and_source():
    numbers = published()
    assert len(numbers) == 129
    assert numbers["id"].is_unique
    assert numbers["id"].str.fullmatch(r"[a-z0-9_]+").all()
    assert set(numbers["kind"]) == set(versus_paper.KINDS)
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
def test_derived_numbers_follow_from_their_sources(slope, curve, small, large, ratio):
    value = published().set_index("id")["value"]
    losses = [float(value[f"{curve}_{size}_loss"]) for size in (small, large)]
    assert float(value[slope]) == pytest.approx(
        np.log(losses[0] / losses[1]) / np.log(ratio), abs=0.0005
    )


def test_evidence_for_one_generator_is_not_for_another():
    numbers = published()
    others = numbers[numbers["series"].isin(["Imagen", "Muse"])]
    assert len(others) == 4
    assert not others["confidence"].str.contains("SD").any()


def test_all_published_numbers_are_in_the_table(results, tmp_path):
    tidy, text = tabulate(
        tabulate_versus_paper, tmp_path, "--laws", *results.laws, "--numbers", NUMBERS
    )
    counterparts = results.study.tables.versus_paper.counterparts
    assert len(tidy) == 129
    assert set(tidy.loc[tidy["our_k"].notna(), "id"]) == set(counterparts)
    row = tidy.set_index("id").loc["fig1_supervised_imagenet_sd_caption"]
    assert (float(row["value"]), row["our_source"], row["our_guidance"]) == (
        0.247,
        "diffusion_captions",
        1.5,
    )
    assert row["our_k"] == pytest.approx(0.3, abs=0.02)
    assert "| 47 % " in text  # 0.247 of 0.529
    assert (
        text.index("Supervised / Real")
        < text.index("Other published numbers")
        < text.index("Imagen (Caption)")
    )


def test_unknown_id_or_curve_is_refused():
    numbers = published()
    settings = versus_settings(load_study(STUDY))
    one = settings.counterparts["fig1_clip_imagenet_real"]
    fits = {"clip": {}}
    unknown = replace(settings, counterparts={"nowhere": one})
    with pytest.raises(SystemExit, match="not in the published numbers: nowhere"):
        versus_paper.compare(numbers, unknown, fits)
    known = replace(settings, counterparts={"fig1_clip_imagenet_real": one})
    with pytest.raises(SystemExit, match=r"laws.clip has no curve \['real', None, 'clip_small'\]"):
        versus_paper.compare(numbers, known, fits)

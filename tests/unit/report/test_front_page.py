"""The report's first page: what it shows, and what it states if there is nothing to show."""

import pandas as pd
import pytest
from docutils.core import publish_parts

from synscale.report import front_page
from synscale.study.load import load_study
from tests.support.workflow import SMOKE

ROW = {
    "claim": "The generator_1 matters *a lot*",
    "hypothesis": "exponents differ",
    "unit": "difference of k",
    "effect": 0.182,
    "low": 0.0911,
    "high": 0.273,
    "verdict": "holds",
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    smoke = load_study(SMOKE)
    monkeypatch.chdir(tmp_path)
    return smoke


def html(text: str) -> str:
    return publish_parts(text, writer_name="html", settings_overrides={"halt_level": 2})["body"]


def test_claims_are_a_table_with_effects_and_verdicts(study, tmp_path):
    (tmp_path / "tables/smoke").mkdir(parents=True)
    pd.DataFrame([ROW]).to_csv("tables/smoke/claims.csv", index=False)
    page = html(front_page.claims("smoke", study))
    assert "The generator_1 matters *a lot*" in page
    assert "Δk = 0.18 [0.09, 0.27]" in page and "holds" in page
    assert "intervals are not adjusted" in page


def test_rows_of_one_claim_state_their_hypotheses(study, tmp_path):
    (tmp_path / "tables/smoke").mkdir(parents=True)
    rows = [ROW | {"hypothesis": f"lower with {count} images"} for count in (30, 120)]
    pd.DataFrame(rows).to_csv("tables/smoke/claims.csv", index=False)
    page = html(front_page.claims("smoke", study))
    assert "lower with 30 images" in page and "lower with 120 images" in page


def test_main_figure_is_embedded(study, tmp_path):
    (tmp_path / "figures/smoke").mkdir(parents=True)
    (tmp_path / "figures/smoke/teaser.png").write_bytes(b"png" * 9000)
    image = "cG5n" * 9000
    page = html(front_page.main_figure("smoke", study))
    assert f'src="data:image/png;base64,{image}"' in page


def test_missing_results_are_stated(study):
    assert html(front_page.main_figure("smoke", study)).strip() == (
        "<p>No figure of losses exists yet.</p>"
    )
    assert "has not been written yet" in html(front_page.claims("smoke", study))

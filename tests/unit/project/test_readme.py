"""README: its length, its figure, and its table of figures."""

import re
from io import BytesIO

import pandas as pd
import pytest

from benchmarks import figure_costs
from synscale.analysis.claim_data import LOG_LOSS
from synscale.report import tables
from synscale.runtime import archive
from synscale.study.load import load_study
from synscale.study.models.figures import Figures
from synscale.workflow.settings import figures as figure_settings
from tests.support.workflow import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs/guides/run_the_paper.md").read_text(encoding="utf-8")
MOST_LINES = 120


def table_of(page: str) -> str:
    """Return the generated table of a page."""
    return page.split(figure_costs.START)[1].split(figure_costs.END)[0]


def test_readme_is_short():
    assert len(README.splitlines()) <= MOST_LINES


def test_image_names_the_command_that_draws_it():
    image = re.search(r"!\[.*\]\((.*)\)", README)[1]
    study, figure = re.search(r"`snakemake figures/(\w+)/(\w+)\.png`", README).groups()
    assert (ROOT / image).is_file() and image.endswith(f"/{figure}.png")
    assert figure in figure_settings.names_of(load_study(ROOT / f"studies/{study}.yaml").figures)


@pytest.mark.parametrize(("study", "column"), [("digits", 2), ("fashion", 4)])
def test_results_are_those_of_the_published_bundle(study, column):
    _, files = archive.read(ROOT / f"studies/published/{study}.tar.xz")
    claims = pd.read_csv(BytesIO(files[f"results/{study}/published/tables/claims.csv"]))
    rows = [line.split("|") for line in README.splitlines() if line.count("|") == 7]
    for _, row in claims.dropna(subset="effect").iterrows():
        if row["unit"] == LOG_LOSS:
            text = f"× {row['ratio']:.2f}"
        else:
            text = tables.interval(row["effect"], row["low"], row["high"]).replace("\u2212", "-")
        verdicts = [cells[column + 1] for cells in rows if text in cells[column]]
        assert any(row["verdict"] in verdict for verdict in verdicts), row["claim"]


def test_table_lists_every_figure():
    names = re.findall(r"^\| `(\w+)\.pdf` \|", table_of(README), re.MULTILINE)
    assert names == list(Figures.model_fields)


def test_table_has_the_hours_of_the_guide():
    readme = dict(re.findall(r"^\| `(\w+)\.pdf` .* \| ([\d,.]+) \|$", table_of(README), re.M))
    guide = dict(re.findall(r"^ *\| (\w+) \| [\d,]+ \| ([\d,.]+) \|", table_of(GUIDE), re.M))
    assert readme == guide, "run: python -m benchmarks.figure_costs"

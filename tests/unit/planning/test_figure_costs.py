"""The order of figures by planned cost, and its table in docs/guides/run_the_paper.md."""

import os
import re

import pytest

from benchmarks import figure_costs
from synscale.planning.cost_model import Work
from synscale.planning.summary import Cost, Job
from synscale.study.load import load_study
from synscale.workflow.settings import figures as figure_settings
from tests.support.workflow import ROOT, STUDIES, Workflow, in_fork

PAGES = {
    study: (ROOT / f"docs/guides/{page}.md").read_text(encoding="utf-8")
    for study, page in {"imagenet": "run_the_paper", "imagenet100": "imagenet100"}.items()
}


def rows_of_page(study: str = "imagenet") -> list[tuple[str, float]]:
    """Figure and GPU-hours of each row of the table."""
    table = PAGES[study].split(figure_costs.START)[1].split(figure_costs.END)[0]
    rows = re.findall(r"^ *\| (\w+) \| [\d,]+ \| ([\d,.]+) \|", table, re.MULTILINE)
    return [(name, float(hours.replace(",", ""))) for name, hours in rows]


def test_shared_jobs_are_counted_once_after_cheaper_figures():
    jobs = [
        Job("real", "train_classifiers", {"source": "real"}),
        Job("made", "generate", {"source": "made"}),
        Job("done", "generate", {"source": "old"}, to_run=False),
        Job("a", "plot_samples", {"study": "s"}, needs=("made", "done")),
        Job("b", "plot_scaling", {"study": "s", "scaling": "ood_scaling"}, needs=("made", "real")),
    ]
    costs = {job.key: Cost(3600.0, Work({"job": 1}, gpus=1)) for job in jobs}
    rows = figure_costs.figure_costs(["ood_scaling", "samples"], jobs, costs)
    assert rows == [
        figure_costs.FigureCost("samples", 2, 2.0, 2.0),
        figure_costs.FigureCost("ood_scaling", 3, 3.0, 2.0),
    ]


def test_table_takes_the_place_of_the_old_one():
    page = f"a\n  {figure_costs.START}\n  | old |\n  {figure_costs.END}\nb"
    new = figure_costs.replace_table(page, "| new |\n\nend")
    assert "old" not in new
    assert new.startswith(f"a\n  {figure_costs.START}\n  | new |\n\n  end\n")
    assert new.endswith(f"\n  {figure_costs.END}\nb")
    assert figure_costs.replace_table(new, "| new |\n\nend") == new


@pytest.mark.parametrize("study", PAGES)
def test_page_lists_every_figure_the_cheapest_first(study):
    rows = rows_of_page(study)
    assert {name for name, _ in rows} == set(
        figure_settings.names_of(load_study(STUDIES[study]).figures)
    )
    assert [hours for _, hours in rows] == sorted(hours for _, hours in rows)
    command = rf"snakemake --profile \S+ figures/{study}/(\w+)\.pdf"
    commands = re.findall(command, PAGES[study])
    order = [name for name, _ in rows]
    assert len(commands) >= 4
    assert commands == sorted(commands, key=order.index)


@pytest.mark.slow
def test_order_of_the_page_is_that_of_the_plan(tmp_path):
    workflow = Workflow.create(tmp_path / "workflow")
    workflow.study.unlink()
    (workflow.folder / "studies/imagenet.yaml").write_text(STUDIES["imagenet"].read_text())

    def show():
        os.chdir(workflow.folder)
        for row in figure_costs.planned("imagenet", "a100")[0]:
            print("row", row.name, row.gpu_hours)

    status, printed = in_fork(show)
    assert status == 0, printed
    rows = re.findall(r"^row (\w+) (\S+)$", printed, re.MULTILINE)
    fix = "run: python -m benchmarks.figure_costs"
    assert [name for name, _ in rows] == [name for name, _ in rows_of_page()], fix
    for (_, planned), (_, written) in zip(rows, rows_of_page(), strict=True):
        assert written == pytest.approx(float(planned), rel=0.05), fix

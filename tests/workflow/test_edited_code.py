"""An edit of a module reruns the figures, tables and fits that import it, and nothing else."""

import os
import shutil
import time
from collections import Counter

import pytest

from synscale.planning import dag
from synscale.study.load import load_study
from tests.support.workflow import Workflow

# Every rule that reads synscale/analysis/metrics.py, directly or through another module.
# tabulate_author_checkpoints and plot_selection are not in the smoke study.
READERS_OF_METRICS = {
    "fit_laws",
    "plot_beyond_the_law",
    "plot_clip_transfer",
    "plot_configuration_sweep",
    "plot_exchange_rate",
    "plot_joint_law",
    "plot_limited_real",
    "plot_per_class",
    "plot_recognizability_diversity",
    "plot_scaling",
    "plot_scores",
    "tabulate_claims",
    "tabulate_configurations",
    "tabulate_metrics",
    "tabulate_versus_paper",
}
FIGURES_AND_TABLES = READERS_OF_METRICS | {
    "plot_samples",
    "plot_teaser",
    "plot_training_curves",
    "tabulate_hyperparameters",
    "tabulate_laws",
    "tabulate_prompts",
}


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """Return a function: edited modules -> the rules that would run, if all (empty) files exist."""
    workflow = Workflow.create(
        tmp_path_factory.mktemp("code") / "workflow", copied=("scripts", "synscale")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workflow.folder)
        patch.setattr(dag, "from_snakemake", lambda graph: graph)
        load_study.cache_clear()
        written = time.time() + 60
        for job in dag.ask(["provenance/smoke.html"]).jobs:
            for output in map(str, job.output):
                folder = output if job.output[0].is_directory else os.path.dirname(output)
                os.makedirs(folder, exist_ok=True)
                if not os.path.isdir(output):
                    open(output, "w").close()
                os.utime(output, (written, written))

        def planned(*edited: str) -> Counter:
            for path in edited:
                os.utime(path, (written + 60, written + 60))
            waiting = dag.ask(["provenance/smoke.html"]).needrun_jobs(exclude_finished=False)
            for path in edited:
                os.utime(path, (written - 120, written - 120))
            return Counter(job.rule.name for job in waiting if job.rule.name != "write_provenance")

        yield planned
    shutil.rmtree(workflow.folder)


def test_nothing_runs_without_an_edit(plan):
    assert plan() == {}


def test_edit_of_metrics_reruns_every_reader(plan):
    """Figures and tables of the fits run too."""
    assert set(plan("synscale/analysis/metrics.py")) == READERS_OF_METRICS | {
        "plot_teaser",
        "tabulate_laws",
    }


def test_edit_of_plotting_redraws_every_figure(plan):
    rules = set(plan("synscale/report/plotting.py"))
    assert rules and rules == {rule for rule in FIGURES_AND_TABLES if rule.startswith("plot_")}


def test_edit_of_training_code_reruns_nothing(plan):
    trained = [
        "scripts/train_classifiers.py",
        "scripts/train_generator.py",
        "scripts/train_clip.py",
        "scripts/generate.py",
        "scripts/score.py",
    ]
    assert (
        plan(
            *trained,
            "synscale/models/classifier.py",
            "synscale/models/pipelines.py",
            "synscale/training/stream.py",
            "synscale/evaluation/image_set_metrics.py",
        )
        == {}
    )

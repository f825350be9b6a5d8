"""Plateaus of held-out losses, by run and by curve."""

import pandas as pd
import pytest

from synscale.analysis import training_history
from synscale.workflow.runs import Run

RUNS = [Run("real", None, "vit", size, seed) for size in (10, 20) for seed in (0, 1)]
SYNTHETIC = Run("made", 1.5, "vit", 10, 0)


def write_history(path, losses_by_run: dict) -> str:
    """Write a job's table. losses_by_run: held-out losses of each run at its twenty points."""
    rows = [
        {"source": run.source, "run": run.name, "iteration": 5 * place, "held_out_loss": loss}
        for run, losses in losses_by_run.items()
        for place, loss in enumerate(losses, 1)
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return str(path)


def falling(at_the_end: float) -> list[float]:
    """Return twenty losses; the last is lower by this part than that at four fifths."""
    losses = [2.0] * 16
    return [*losses, *[2.0 * (1 - at_the_end * step / 4) for step in range(1, 5)]]


def test_run_is_at_a_plateau_if_its_loss_hardly_falls_at_the_end(tmp_path):
    histories = dict(zip(RUNS, map(falling, (0.0, 0.015, 0.03, -0.1)), strict=True))
    table = training_history.read([write_history(tmp_path / "a.csv", histories)], RUNS)
    ended = training_history.ends(table).set_index(["size", "seed"])
    assert ended["is_plateau"].to_dict() == {
        (10, 0): True,
        (10, 1): True,
        (20, 0): False,
        (20, 1): True,
    }
    assert ended.loc[(20, 0), "fall"] == pytest.approx(0.03)
    assert set(ended["iteration"]) == {100}


def test_curves_count_their_own_runs_within_their_sizes(tmp_path):
    histories = {run: falling(0.5) for run in [*RUNS, SYNTHETIC]}
    files = [write_history(tmp_path / "a.csv", histories)]
    ended = training_history.ends(training_history.read(files, [*RUNS, SYNTHETIC]))
    curves = pd.DataFrame(
        [
            ("real", float("nan"), "vit", 10, 10),
            ("real", float("nan"), "vit", 10, 20),
            ("made", 1.5, "vit", 10, 20),
            ("made", 2.0, "vit", 10, 20),
        ],
        columns=["source", "guidance", "architecture", "smallest", "largest"],
    )
    counts = training_history.unfinished(ended, curves)
    assert list(counts) == ["2 of 2", "4 of 4", "1 of 1", ""]


def test_run_without_a_history_is_reported(tmp_path):
    files = [write_history(tmp_path / "a.csv", {RUNS[0]: falling(0.1)})]
    with pytest.raises(
        SystemExit, match=r"^made vit-g1\.5-n10-seed0: no history in 1 files; train"
    ):
        training_history.read(files, [RUNS[0], SYNTHETIC])


def test_runs_without_held_out_loss_have_no_end(tmp_path):
    files = [write_history(tmp_path / "a.csv", {RUNS[0]: [None] * 20})]
    assert training_history.ends(training_history.read(files, RUNS[:1])).empty

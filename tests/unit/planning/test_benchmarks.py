"""Benchmarks: each runs at a tiny size and its peer has the same result; nothing is timed here."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

from synscale.runtime.torch_setup import deterministic

import numpy as np
import pandas as pd
import pytest
import threadpoolctl
import torch

from benchmarks import (
    augmentation,
    batches,
    clip_training,
    digits_run,
    evaluation,
    generation,
    growth,
    law_coverage,
    law_fitting,
    measuring,
    planning,
    reading,
    report,
    scores,
    vit_training,
)
from benchmarks.measuring import PROJECT, Disagreement, Goal
from synscale.data.shuffle_buffer import Shuffle
from synscale.planning.cost_model import Work
from synscale.planning.records import Record
from synscale.planning.speed_fit import Done
from synscale.planning.summary import Job

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread():
    deterministic(1)
    with threadpoolctl.threadpool_limits(1):
        yield


def ways(result: measuring.Result) -> set[str]:
    return {row["implementation"] for rows in result.tables.values() for row in rows}


@pytest.mark.slow
def test_laws_reach_the_optimum_of_scipy():
    result = law_fitting.measure(2, 8, 40, 1, CPU)
    assert {PROJECT, *law_fitting.PEERS} == ways(result)
    assert len(result.tables) == 4


def test_law_coverage_has_a_row_for_each_cell():
    rows = law_coverage.measure(2, 0).tables[""]
    assert len(rows) == 24
    assert {row["covers, reported"] for row in rows} <= {"0.0%", "50.0%", "100.0%"}


def test_coverage_of_two_variables_counts_floors_of_zero():
    wide, narrow = {"floor": (0.0, 0.0, 2.0)}, {"floor": (1.5, 1.2, 1.7)}
    others = {"a": (0.3, 0.2, 0.4), "b": (0.3, 0.2, 0.4)}
    floor, *_ = law_coverage.two_variable_rows([wide | others, narrow | others])
    assert (
        floor["covers"],
        floor["width"],
        floor["floor fitted as 0"],
        floor["of these covered"],
    ) == ("50%", "1.250", 1, 1)


def test_laws_page_has_the_table_of_the_result_file():
    result = json.loads((measuring.RESULTS / "law_coverage.json").read_text(encoding="utf-8"))
    page = law_coverage.DOCS.read_text(encoding="utf-8")
    assert page == law_coverage.documented(page, result)
    covered = [float(row["covers, reported"].rstrip("%")) for row in result["tables"][""]]
    assert min(covered) >= 90


def test_webdataset_decodes_the_same_pixels(tmp_path):
    assert {PROJECT, batches.DEFAULT} <= ways(batches.measure(tmp_path, 64, 32, 1, CPU))


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="reads are counted on Linux only")
def test_reading_in_chunks_needs_fewer_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BATCH", 64)
    shuffle = Shuffle(plain=0, lanes=8, stripe=8, chunk=64, chunks_per_lane=2)
    rows = {
        row["implementation"]: row
        for row in reading.measure(tmp_path, 1024, 500, shuffle).tables[""]
    }
    calls = {way: row["reads per 1,000 images"] for way, row in rows.items()}
    assert calls[PROJECT] < calls[reading.ONE_BY_ONE] / 10
    assert reading.PEER in rows and len(rows) == 4


def test_pixels_that_differ_are_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(
        batches, "as_tensor", lambda image: torch.zeros(3, *image.size, dtype=torch.uint8)
    )
    with pytest.raises(Disagreement, match="decodes other pixels"):
        batches.measure(tmp_path, 64, 32, 1, CPU)


def test_recipe_of_the_study_has_the_batches_of_torchvision(tmp_path):
    result = augmentation.measure(tmp_path, 64, 32, 1, CPU)
    assert len(result.tables) == 2
    assert {PROJECT, augmentation.BEFORE, augmentation.SAME, augmentation.USUAL} == ways(result)


def test_batches_of_other_pixels_are_a_disagreement():
    names = PROJECT, augmentation.BEFORE, augmentation.SAME, augmentation.USUAL
    batches = {name: [torch.zeros(2, 3, 4, 4, dtype=torch.uint8)] for name in names}
    assert "bit by bit" in augmentation.agree(batches)
    batches[augmentation.BEFORE] = [torch.ones(2, 3, 4, 4, dtype=torch.uint8)]
    with pytest.raises(Disagreement, match="other pixels than this project's"):
        augmentation.agree(batches)


def test_checkpoints_together_and_apart_have_the_same_metrics(tmp_path):
    assert {PROJECT, evaluation.PEER, evaluation.EACH} == ways(
        evaluation.measure(tmp_path, 20, 2, list(evaluation.SIZES)[:1], 1, CPU)
    )


def test_scores_of_one_pass_are_those_of_torch_fidelity(tmp_path):
    assert {PROJECT, scores.EACH, scores.BEST} == ways(
        scores.measure(tmp_path, 40, scores.ARCHITECTURE | {"width": 8}, 1, CPU)
    )


@pytest.mark.slow
def test_vit_trains_to_the_same_weights(tmp_path):
    result = vit_training.measure(tmp_path, "tiny", 32, 4, 3, 1, 1, CPU, backend="eager")
    assert {
        PROJECT,
        vit_training.EAGER,
        vit_training.BEST,
        vit_training.LOADED,
        vit_training.SHARDS,
    } == ways(result)


@pytest.mark.slow
def test_clip_trains_to_the_weights_of_the_released_trainer(tmp_path, monkeypatch):
    monkeypatch.setitem(
        clip_training.FLAGS, "cpu", {clip_training.DEFAULT: ["--precision", "fp32"]}
    )  # compiling takes a minute
    assert {PROJECT, clip_training.DEFAULT} == ways(
        clip_training.measure(tmp_path, "tiny", 32, 4, 2, 1, CPU, backend="eager")
    )


@pytest.mark.slow
def test_images_are_those_of_diffusers(tmp_path):
    result = generation.measure(tmp_path, "tiny", 3, 2, 2, 1, CPU, backend="eager")
    assert {PROJECT, generation.PLAIN, generation.BEST} == ways(result)


@pytest.mark.parametrize("stage", growth.STAGES)
def test_stage_runs_in_a_child(tmp_path, stage):
    result = growth.measure(tmp_path, [stage], [64, 128, 192], 1)
    assert [row["size"] for row in result.tables["Sizes"]] == [
        int(size * growth.STAGES[stage][2]) for size in (64, 128, 192)
    ]
    assert all(row["peak MB"] > 0 for row in result.tables["Sizes"])


def test_failed_stage_ends_the_measurement():
    with pytest.raises(SystemExit, match="a stage failed"):
        growth.in_child(lambda: 1 / 0)


def test_line_is_fitted_to_the_growth():
    assert growth.line([1, 2, 4], [3, 5, 9]) == pytest.approx((1, 2, 1))


def test_ratios_are_of_runs_next_to_each_other():
    seconds = pd.DataFrame({PROJECT: [1.0, 2.0, 4.0], "peer": [2.0, 6.0, 8.0]})
    rows = measuring.ratios(seconds, 1000, "image", {"peer": Goal(2.5)})
    assert rows[1] == {
        "implementation": "peer",
        "ms per image": 6.0,
        "ratio": 2.0,
        "lowest": 2.0,
        "highest": 3.0,
        "goal": "at least 2.5",
        "reached": "no",
    }


def test_goal_may_be_an_upper_limit():
    assert Goal(1.2, at_most=True).row(1.2) == {"goal": "at most 1.2", "reached": "yes"}
    assert Goal(1.2, at_most=True).row(1.3)["reached"] == "no"
    assert Goal(1.2).row(1.2)["reached"] == "yes"


GOALS = {
    "augmentation": augmentation.GOALS,
    "batches": batches.GOALS,
    "clip_training": clip_training.GOALS,
    "evaluation": evaluation.GOALS,
    "generation": generation.GOALS,
    "law_fitting": law_fitting.GOALS,
    "planning": dict.fromkeys((PROJECT, f"{PROJECT}, show_plan: false"), planning.GOAL),
    "scores": scores.GOALS,
    "vit_training": vit_training.GOALS,
}


def test_result_files_have_the_declared_goals():
    for name, result in result_files().items():
        goals = {
            row["implementation"]: row["goal"]
            for rows in result["tables"].values()
            for row in rows
            if "goal" in row
        }
        declared = GOALS.get(report.stem(name), {})
        assert goals == {peer: str(goal) for peer, goal in declared.items()}, name


def test_close_is_relative_to_the_largest():
    assert measuring.close([1.0, 100.0], [1.0, 101.0], 0.02, "numbers") == pytest.approx(1 / 101)
    with pytest.raises(Disagreement, match="weights: they differ"):
        measuring.close([1.0], [np.nan], 0.1, "weights")


def done(rule: str, wall: float, cpu: float) -> Done:
    return Done(Job(f"{rule} {wall}", rule), Work(), Record(wall, cpu, ended=100.0))


def test_complete_run_compares_wall_time_with_the_cores():
    row = digits_run.complete_run([done("score", 10, 8), done("plot_scores", 4, 4)], cores=2)
    assert (row["CPU s"], row["CPU s / cores"], row["wall s"]) == (12, 6, 10)


def test_overheads_measure_the_imports_of_a_rule():
    (row,) = digits_run.overheads([done("write_provenance", 1e6, 5.0)] * 2)
    assert row["jobs"] == 2
    assert 0 < row["start and import, CPU s"] < 1e6
    assert row["share of the job"] == "0%"


def test_report_is_written_from_result_files(tmp_path, monkeypatch):
    rows = [
        {"implementation": PROJECT, "ms per image": 1.5},
        {"implementation": "peer"} | {"ratio": 2.0, "lowest": 1.9, "highest": 2.125},
    ]
    result = measuring.Result("scores", "Scores", "3 images", "twice", {"": rows}, "equal")
    monkeypatch.setattr("sys.argv", ["benchmarks/scores.py", "--images", "3"])
    measuring.finish(result, SimpleNamespace(results=tmp_path, device="cpu"))
    command = json.loads((tmp_path / "scores.json").read_text())["command"]
    assert command == "python -m benchmarks.scores --images 3"
    report.main(["--results", str(tmp_path), "--output", str(tmp_path / "page.md")])
    page = (tmp_path / "page.md").read_text()
    summary, details = page.split("## Details")
    assert re.search(r"\| Scores +\| peer +\| 2\.0 \(1\.9 to 2\.12\) +\| none ", summary)
    assert "### Scores" in details and f"`{command}`" in details
    with pytest.raises(SystemExit, match="no result file"):
        report.main(["--results", str(tmp_path / "none")])


def test_results_without_a_gpu_are_in_a_separate_table():
    results = result_files()
    summary, rest = report.page(results).split("## Not measured on a GPU")
    table, _ = rest.split("## Details")
    for name, command in report.GPU.items():
        assert (command in table.splitlines()) == (name not in results)
    assert "diffusers, documented best" in table and "diffusers" not in summary
    gpu = {"device": "cuda", "machine": results["scores"]["machine"] | {"gpus": ["GPU"]}}
    name = "generation-stable_diffusion_15-cuda"
    page = report.page(results | {name: results["generation-tiny"] | gpu})
    summary, rest = page.split("## Not measured on a GPU")
    assert "diffusers, documented best" in summary
    assert "diffusers" not in rest.split("## Details")[0]


def result_files() -> dict[str, dict]:
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(measuring.RESULTS.glob("*.json"))
    }


def test_page_is_that_of_the_result_files():
    assert report.OUTPUT.read_text(encoding="utf-8") == report.page(result_files()), (
        "docs/reference/performance.md is old: python -m benchmarks.report"
    )

"""A finished run next to its plan: what its records say, and whether the plan is a forecast."""

from datetime import UTC, datetime

import pytest
from snakemake import benchmark

from synscale.planning import hardware, records, speed_fit
from synscale.planning.cost_model import Work
from synscale.planning.records import Record
from synscale.planning.speed_fit import FITTED_TO_RUN, FORECAST, FORECAST_TOTAL, Done
from synscale.planning.summary import Job
from tests.support.planning import DIGITS
from tests.support.workflow import ROOT

DAY = "2026-11-25"
ENDED = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()


def test_samples_are_taken_as_often_as_by_snakemake():
    expected = (records.SHORT_INTERVAL, records.LONG_INTERVAL)
    assert expected == (benchmark.BENCHMARK_INTERVAL_SHORT, benchmark.BENCHMARK_INTERVAL)
    last = {0.3: 0, 7.3: 7, 14.9: 14.5, 15.0: 15, 44.9: 15, 45.1: 45, 100.0: 75}
    assert {wall: records.last_sample(wall) for wall in last} == last


def test_read_adds_time_after_the_last_sample(tmp_path):
    path = tmp_path / "job.tsv"
    # Half of 45 s, all of 15 s.
    path.write_text("s\th:m:s\tcpu_time\n60\t0:01:00\t22.5\n20\t0:00:20\t15\n")
    assert records.read(path) == Record(40, (30 + 20) / 2, path.stat().st_mtime)
    path.write_text("s\tcpu_time\n0.3\tNA\n")
    assert records.read(path).cpu == 0.3  # ended before the first sample
    assert records.cpu_seconds(24, 15.5) == 24  # one thread, whose sample was late


def test_read_refuses_another_file(tmp_path):
    (tmp_path / "job.tsv").write_text("seconds\n1\n")
    problem = r"job.tsv: not a benchmark file of Snakemake \(no column cpu_time, s\); remove it"
    with pytest.raises(ValueError, match=problem):
        records.read(tmp_path / "job.tsv")


def done(rule: str, units: dict, cpu: float, wall: float) -> Done:
    return Done(Job(f"{rule} {units}", rule), Work(units), Record(wall, cpu, ENDED))


RUN = [
    done("score", {"job": 1, "image": 10}, 3.0, 6.0),
    done("score", {"job": 1, "image": 20}, 5.0, 10.0),
    done("plot_scores", {"job": 1}, 4.0, 5.0),
]


def machine(*rates: dict) -> hardware.Hardware:
    laptop = hardware.load("laptop", ROOT / "profiles/hardware")
    return laptop.model_copy(update={"rates": [hardware.Rate(**rate) for rate in rates]})


def rate(rule: str, seconds: float, origin: str, unit: str = "job") -> dict:
    return {"rule": rule, "unit": unit, "seconds": seconds, "origin": f"measured ({origin})"}


def test_compare_sums_planned_and_recorded_seconds():
    calibrated = machine(
        rate("score", 0.2, f"snakemake calibrate, a CPU, {DAY}", "image"),
        rate("plot_*", 2, "scripts.fit_speeds --study digits, run 01234567, 2026-11-24, 1 jobs"),
    )
    table = speed_fit.compare(RUN, calibrated, "cpu").set_index("rule")
    assert table["planned_s"].tolist() == [6, 2, 8, 8]
    assert table["recorded_s"].tolist() == [8, 4, 12, 12]
    assert table["ratio"].tolist() == [0.75, 0.5, 0.67, 0.67]
    assert table["within"].tolist() == ["no"] * 4
    assert table["speeds"].tolist() == [FORECAST, FORECAST, "", ""]
    assert speed_fit.compare(RUN, calibrated, "wall")["recorded_s"].tolist() == [16, 5, 21, 21]
    report = speed_fit.report(RUN, calibrated, "cpu")
    assert "The table compares CPU time." in report
    assert "(57%)" in report


def test_speeds_fitted_to_the_run_are_no_forecast():
    origin = f"scripts.fit_speeds --study digits, run {speed_fit.run_id(RUN)}, {DAY}"
    fitted = [row for row in speed_fit.fit_rates(RUN, "cpu", origin) if row["rule"] == "score"]
    mixed = machine(*fitted, rate("plot_*", 4.4, f"snakemake calibrate, {DAY}"))
    table = speed_fit.compare(RUN, mixed, "cpu").set_index("rule")
    assert table["ratio"].tolist() == [1.0, 1.1, 1.1, 1.03]
    assert table["speeds"].tolist() == [FITTED_TO_RUN, FORECAST, "", ""]
    assert table.loc[FORECAST_TOTAL, "jobs"] == 1
    assert table.loc["total", "jobs"] == 3

    other = []
    for row in RUN:
        record = Record(row.record.wall + 0.01, row.record.cpu, ENDED)
        other.append(row._replace(record=record))
    assert speed_fit.run_id(other) != speed_fit.run_id(RUN)
    assert speed_fit.compare(other, mixed, "cpu")["speeds"][0] == FORECAST


def test_time_kind_is_cpu_time_without_gpus():
    assert speed_fit.time_kind(DIGITS) == "cpu"
    assert speed_fit.time_kind(DIGITS.model_copy(update={"gpus": 4})) == "wall"

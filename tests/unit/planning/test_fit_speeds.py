"""A finished run beside its plan: what its records say, and whether the plan was a forecast."""

from datetime import UTC, datetime

import pytest
from snakemake import benchmark

from scripts import fit_speeds
from scripts.fit_speeds import FITTED_TO_IT, FORECAST, FORECAST_TOTAL, PERHAPS, Done
from synscale.planning import hardware
from synscale.planning.cost_model import Work
from synscale.planning.summary import Job
from synscale.timing import records
from synscale.timing.records import Record
from tests.support.workflow import ROOT

DAY = "2026-11-25"
ENDED = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()


# -- what a benchmark file says -------------------------------------------------------------------------------------------------------


def test_jobs_are_looked_at_as_often_as_snakemake_does():
    assert (benchmark.BENCHMARK_INTERVAL_SHORT, benchmark.BENCHMARK_INTERVAL) == (
        records.OFTEN,
        records.SELDOM,
    )
    looked = {0.3: 0, 7.3: 7, 14.9: 14.5, 15.0: 15, 44.9: 15, 45.1: 45, 100.0: 75}
    assert {wall: records.last_look(wall) for wall in looked} == looked


def test_what_came_after_the_last_look_is_added_as_what_came_before(tmp_path):
    path = tmp_path / "job.tsv"
    path.write_text(
        "s\th:m:s\tcpu_time\n60\t0:01:00\t22.5\n20\t0:00:20\t15\n"
    )  # half of 45 s, all of 15 s
    assert records.read(path) == Record(40, (30 + 20) / 2, path.stat().st_mtime)
    path.write_text("s\tcpu_time\n0.3\tNA\n")
    assert records.read(path).processor == 0.3  # ended before it was looked at
    assert (
        records.processor_seconds(24, 15.5) == 24
    )  # one thread on a core of its own, whose look was late
    path.write_text("seconds\n1\n")
    with pytest.raises(ValueError, match=r"job.tsv: no column cpu_time, s: not a benchmark file"):
        records.read(path)


# -- the plan beside it ---------------------------------------------------------------------------------------------------------------


def done(rule: str, units: dict, processor: float, wall: float) -> Done:
    return Done(Job(f"{rule} {units}", rule), Work(units), Record(wall, processor, ENDED))


RUN = [
    done("score", {"job": 1, "image": 10}, 3.0, 6.0),
    done("score", {"job": 1, "image": 20}, 5.0, 10.0),
    done("plot_scores", {"job": 1}, 4.0, 5.0),
]


def machine(*rates: dict) -> hardware.Hardware:
    own = hardware.load("laptop", ROOT / "profiles/hardware")
    return own.model_copy(update={"rates": [hardware.Rate(**rate) for rate in rates]})


def rate(rule: str, seconds: float, origin: str, unit: str = "job") -> dict:
    return {"rule": rule, "unit": unit, "seconds": seconds, "origin": f"measured ({origin})"}


def standing_of(rules, table) -> list[str]:
    return [table.set_index("rule").loc[rule, "speeds"] for rule in rules]


def test_a_plan_of_calibrate_is_a_forecast_and_is_set_beside_what_the_jobs_took():
    own = machine(
        rate("score", 0.2, f"snakemake calibrate, a CPU, {DAY}", "image"),
        rate("plot_*", 2, "scripts.fit_speeds --study digits, 2026-11-24, 1 jobs"),
    )
    table = fit_speeds.compare(RUN, own, "processor").set_index("rule")
    assert table["planned_s"].tolist() == [6, 2, 8, 8]
    assert table["recorded_s"].tolist() == [8, 4, 12, 12] and table["wall_s"].tolist() == [
        16,
        5,
        21,
        21,
    ]
    assert table["ratio"].tolist() == [0.75, 0.5, 0.67, 0.67] and set(table["within"]) == {"no"}
    assert table["speeds"].tolist() == [
        f"forecast; calibrate, {DAY}",
        "forecast; fit to a run, 2026-11-24",
        "",
        "",
    ]
    assert fit_speeds.compare(RUN, own, "wall")["recorded_s"].tolist() == [16, 5, 21, 21]
    told = fit_speeds.told(RUN, own, "processor")
    assert (
        "Seconds of the processor are compared" in told
        and "All of it is a forecast" in told
        and "57% of it" in told
    )


def test_speeds_that_were_fitted_to_this_very_run_are_no_forecast():
    origin = f"scripts.fit_speeds --study digits, run {fit_speeds.run_name(RUN)}, {DAY}"
    own = machine(
        *[row for row in fit_speeds.rates(RUN, "processor", origin) if row["rule"] == "score"],
        rate("plot_*", 4.4, f"snakemake calibrate, {DAY}"),
    )
    table = fit_speeds.compare(RUN, own, "processor").set_index("rule")
    assert table["ratio"].tolist() == [1.0, 1.1, 1.1, 1.03]
    assert table["speeds"].tolist()[:2] == [
        f"{FITTED_TO_IT}; fit, {DAY}",
        f"forecast; calibrate, {DAY}",
    ]
    assert table.loc[FORECAST_TOTAL, "jobs"] == 1 and table.loc["total", "jobs"] == 3
    assert (
        "No forecast, for speeds were or may have been fitted to this run: score."
        in fit_speeds.told(RUN, own, "processor")
    )

    other = [
        own._replace(record=Record(own.record.wall + 0.01, own.record.processor, ENDED))
        for own in RUN
    ]
    assert fit_speeds.run_name(other) != fit_speeds.run_name(RUN)
    assert standing_of(["score"], fit_speeds.compare(other, own, "processor"))[0].startswith(
        f"{FORECAST}; fit to run {fit_speeds.run_name(RUN)}"
    )


@pytest.mark.parametrize(
    ("day", "stands"), [("2026-11-24", FORECAST), (DAY, PERHAPS), ("2026-11-26", PERHAPS)]
)
def test_a_fit_that_names_no_run_may_be_of_any_before_it(day, stands):
    own = hardware.Rate(**rate("score", 1, f"scripts.fit_speeds --study digits, {day}, 10 jobs"))
    assert fit_speeds.standing(own, "0" * 8, DAY) == (stands, f"fit to a run, {day}")


def test_what_was_not_measured_is_called_so():
    own = hardware.Rate(
        rule="score", unit="job", seconds=1, origin="estimated: FLOPs at 25 % of the peak"
    )
    assert fit_speeds.standing(own, "0" * 8, DAY) == (FORECAST, "estimated")


def test_jobs_without_gpus_are_compared_by_seconds_of_the_processor():
    assert [fit_speeds.kind_of_seconds(*own) for own in ((0, None), (4, None), (0, "wall"))] == [
        "processor",
        "wall",
        "wall",
    ]

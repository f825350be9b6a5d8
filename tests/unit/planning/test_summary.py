"""Sums of a plan against sums done by hand, and what holds for any plan."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synscale.planning import summary, what_if
from synscale.planning.cost_model import Work
from synscale.planning.least_squares import fit
from synscale.planning.summary import Cost, Job
from tests.support.planning import DIGITS, MACHINE

SECONDS = st.floats(0, 1e6)
WORK = st.builds(
    Work, images=st.integers(0, 10**9), outputs=st.integers(0, 10**15), gpus=st.integers(0, 8)
)
COSTS = st.lists(st.builds(Cost, SECONDS, WORK), max_size=8)
SUMS = ["jobs", "gpu_hours", "core_hours", "images", "disk_kept_gb", "disk_peak_gb", "money"]


def test_row_counts_gpu_hours_money_and_energy():
    jobs = [
        Job("a", "score", {"study": "digits", "source": "real"}),
        Job("b", "fit_laws", {"study": "digits", "law": "clip"}),
    ]
    studies = {"digits": DIGITS.model_copy(update={"gpus": 4})}
    total = summary.row("total", jobs, summary.costs(jobs, studies, MACHINE), MACHINE)
    assert total["gpu_hours"] == pytest.approx(4 * 10 / 3600)
    assert total["core_hours"] == pytest.approx(2 * 10 / 3600)
    assert total["money"] == pytest.approx((1 * 20 + 2 * 40) / 3600)
    assert total["kwh"] == pytest.approx((10 * 20 + 500 * 40) / 3600 / 1000)
    assert total["co2_kg"] == pytest.approx(0.5 * total["kwh"])


def test_longest_chain():
    # a 1 -> b 5 -> d 1 and a 1 -> c 2 -> d 1: 7 by b; e 6 has no other job.
    jobs = [
        Job("d", "r", needs=("b", "c")),
        Job("a", "r"),
        Job("b", "r", needs=("a",)),
        Job("c", "r", needs=("a",)),
        Job("e", "r"),
    ]
    assert summary.longest_chain(jobs, {"a": 1, "b": 5, "c": 2, "d": 1, "e": 6}) == (
        7,
        ["a", "b", "d"],
    )
    assert summary.longest_chain([], {}) == (0.0, [])


def test_table_leaves_out_done_jobs():
    jobs = [
        Job("a", "prepare_data", to_run=False),
        Job("b", "generate", needs=("a",)),
        Job("c", "plot_samples", needs=("b",)),
    ]
    costs = {"a": Cost(100.0, Work()), "b": Cost(36.0, Work(images=5)), "c": Cost(36.0, Work())}
    rows = summary.table(jobs, costs, MACHINE)
    assert [(row["stage"], row["jobs"], row["images"]) for row in rows] == [
        ("generate", 1, 5),
        ("plot_samples", 1, 0),
        ("total", 2, 5),
        ("done already", 1, 0),
    ]
    assert rows[2]["core_hours"] == rows[2]["chain_hours"] == pytest.approx(0.02)


def test_savings_halve_steps_iterations_and_sizes():
    jobs = [
        Job(
            "a", "generate", {"study": "digits", "source": "diffusion_alt_texts", "shard": "00000"}
        ),
        Job("b", "train_classifiers", {"study": "digits", "source": "real", "group": "vit_large"}),
        Job(
            "c",
            "train_classifiers",
            {"study": "digits", "source": "real", "group": "vit_small"},
            to_run=False,
        ),
    ]
    table = what_if.table(jobs, {"digits": DIGITS}, MACHINE)
    rows = {row["stage"]: row["core_hours"] * 3600 for row in table}
    # Without a change: 10 + 1,920 x 0.01 + 10 + 2,100 x 0.01 = 60.2 s. No speed of this machine is
    # by sampling steps.
    assert rows["half the sampling steps"] == pytest.approx(60.2)
    assert rows["half the training iterations"] == pytest.approx(60.2 - 10.5)
    # 960 images; sizes to 240: 3 x (100 + 100 + 150 + 150) = 1,500 iterations.
    assert rows["half the largest size"] == pytest.approx(60.2 - 9.6 - 6.0)


def test_fit_recovers_seconds_per_unit():
    # 5 s to start and 0.02 s a step; then a single job, whose work takes all of the time.
    steps = [100, 500, 2000]
    rows = [(Work({"job": 1, "step": n}), 5 + 0.02 * n) for n in steps]
    assert fit(rows, ("step", "job")) == pytest.approx({"step": 0.02, "job": 5.0})
    assert fit(rows[:1], ("step", "job")) == pytest.approx({"step": 0.07})
    assert fit([(Work(), 1.0), (Work(), 3.0)], ("job",)) == pytest.approx({"job": 2.0})


@given(COSTS, COSTS)
def test_rows_are_additive(first, second):
    jobs = [Job(str(i), "r") for i in range(len(first) + len(second))]
    costs = dict(zip((job.key for job in jobs), first + second, strict=True))
    parts = jobs[: len(first)], jobs[len(first) :]
    one, two = (summary.row("", part, costs, MACHINE) for part in parts)
    total = summary.row("", jobs, costs, MACHINE)
    for key in [*SUMS, "kwh", "co2_kg"]:
        assert total[key] == pytest.approx(one[key] + two[key])
    assert total["chain_hours"] == pytest.approx(max(one["chain_hours"], two["chain_hours"]))


@given(st.lists(st.tuples(SECONDS, st.sets(st.integers(0, 7))), max_size=8))
def test_chain_is_between_longest_job_and_sum(rows):
    jobs = [
        Job(str(i), "r", needs=tuple(str(need) for need in needs if need < i))
        for i, (_, needs) in enumerate(rows)
    ]
    times = {str(i): seconds for i, (seconds, _) in enumerate(rows)}
    total, chain = summary.longest_chain(jobs, times)
    assert max(times.values(), default=0) <= total <= sum(times.values()) * (1 + 1e-9)
    assert total == pytest.approx(sum(times[key] for key in chain))

"""Sums of a plan against sums done by hand, and what must hold of any plan."""

import math
import re
from html import unescape

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scripts import plan
from synscale.planning import estimates, hardware, summary, what_if
from synscale.planning.cost_model import Work, work
from synscale.planning.evaluation_images import evaluation_images
from synscale.planning.hardware import Hardware
from synscale.planning.least_squares import fit
from synscale.planning.summary import Cost, Job, cost
from synscale.report import html as pages
from synscale.study.load import load_study
from synscale.study.models.generators import PretrainedGenerator
from synscale.workflow.settings.evaluation import score_settings
from tests.support.workflow import ROOT

DIGITS = load_study(str(ROOT / "studies/digits.yaml"))
FIGURE = {"value": 1.0, "origin": "of this test"}
MACHINE = Hardware(
    title="test machine",
    currency="EUR",
    price_per_core_hour=FIGURE,
    price_per_gpu_hour=FIGURE | {"value": 2.0},
    watts_per_core=FIGURE | {"value": 10.0},
    watts_per_gpu=FIGURE | {"value": 500.0},
    co2_kg_per_kwh=FIGURE | {"value": 0.5},
    cpu_partition="cpu",
    gpu_partition="gpu",
    rates=[
        {"rule": "train_classifiers", "unit": "step", "seconds": 0.01, "origin": "assumed"},
        {"rule": "generate", "unit": "image", "seconds": 0.01, "origin": "assumed"},
        {"rule": "*", "unit": "job", "seconds": 10, "origin": "assumed"},
        *(
            {"rule": "*", "unit": unit, "seconds": 0, "origin": "assumed"}
            for unit in ("run", "image", "curve")
        ),
    ],
)


def seconds(rule, **wildcards):
    return summary.cost(DIGITS, rule, wildcards, MACHINE).seconds


# -- one job ---------------------------------------------------------------------------------------------------------------------------


def test_images_of_a_shard():
    # Guidance 1.0, 1.5, 4.0: 3,840 each; 2.0, 7.5: 480 each. A shard covers 3,840 indices, so all
    # are in the first.
    own = work(DIGITS, "generate", {"source": "diffusion_class_names", "shard": "00000"})
    assert own.images == own.units["image"] == 3 * 3840 + 2 * 480 == 12480
    # 6 steps; at guidance 1 once through the generator, else twice: 6 x (3,840 + 2 x 8,640) =
    # 126,720.
    assert own.units["pass"] == 126_720
    assert seconds("generate", source="diffusion_class_names", shard="00000") == pytest.approx(
        10 + 124.8
    )


def test_iterations_of_a_batch():
    # 3 seeds x (100 + 100 + 150 + 150 + 200) for sizes 30 to 480; the sweep's runs at 480 are among
    # them.
    own = work(DIGITS, "train_classifiers", {"source": "real", "group": "vit_small"})
    assert own.units["step"] == 3 * 700
    assert own.units["run"] == 15
    assert seconds("train_classifiers", source="real", group="vit_small") == pytest.approx(10 + 21)


def test_disk_of_models_and_images_is_near_what_a_run_left():
    clips = work(DIGITS, "train_clip", {"source": "real", "group": "clip_small"})
    assert clips.kept == pytest.approx(15 * 857_380, rel=0.05)  # 15 files of that size
    data = work(DIGITS, "prepare_data", {"split": "classifier_training", "shard": "00000"})
    assert data.kept == pytest.approx(1_515_520 + 50_160, rel=0.05)  # tar and manifest


def test_the_distances_of_scores_go_with_the_square_of_the_images():
    def pairs(images: int) -> float:
        return work(
            DIGITS.model_copy(
                update={"scores": DIGITS.scores.model_copy(update={"images": images})}
            ),
            "score",
            {"source": source},
        ).units["pair"]

    source = next(iter(DIGITS.generators.items()))[0] + "_class_names"
    sets, real = (
        len(score_settings(DIGITS, source).guidance),
        evaluation_images(DIGITS, DIGITS.scores.evaluation),
    )
    assert pairs(100) == real**2 + sets * (100**2 + 100 * real)
    assert pairs(2_000_000) == pytest.approx(4 * pairs(1_000_000), rel=1e-3)
    assert "pair" not in work(DIGITS, "score", {"source": "real"}).units


def test_hours_of_gpus_are_counted_where_the_study_uses_them():
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


@pytest.mark.parametrize(
    "rows", [2, 3]
)  # none at all; none but of its start, which would pass for cheap
def test_a_rule_without_speed_is_told(rows):
    slow = MACHINE.model_copy(update={"rates": MACHINE.rates[:rows]})
    with pytest.raises(
        hardware.HardwareError,
        match=r"no speed for rule 'score': `snakemake calibrate .*` measures it, .* {rule: score, unit: image",
    ):
        summary.cost(DIGITS, "score", {"source": "real"}, slow)


def test_a_row_for_a_generator_without_speed_is_shown_and_will_do():
    own = Work({"job": 1, "image": 8, "tflop": 1}, "pretrained:./mine")
    with pytest.raises(hardware.HardwareError) as told:
        MACHINE.model_copy(update={"rates": []}).seconds("generate", own)
    row = yaml.safe_load(re.search(r"\{rule: .*\}", str(told.value))[0].replace("<a number>", "3"))
    assert (
        MACHINE.model_copy(update={"rates": [hardware.Rate(**row)]}).seconds("generate", own) == 24
    )


def test_a_model_of_the_hub_is_downloaded_and_a_folder_is_linked():
    hub = PretrainedGenerator(
        kind="pretrained", model="owner/name", revision="0" * 40, size=64, steps=2
    )
    for generator, kept, seconds in (
        (hub, 5e9, 10),
        (hub.model_copy(update={"model": "./folder", "revision": None}), 0, 0),
    ):
        study = DIGITS.model_copy(update={"generators": {"own": generator}})
        found = cost(study, "fetch_generator", {"generator": "own"}, MACHINE)
        assert (found.work.kept, found.seconds) == (kept, seconds)


def test_an_unknown_type_of_machine_is_told():
    with pytest.raises(
        hardware.HardwareError, match=r"hardware 'abacus': no .*abacus.yaml; known: .*laptop"
    ):
        hardware.load("abacus", ROOT / "profiles/hardware")


# -- several jobs ----------------------------------------------------------------------------------------------------------------------


def test_longest_chain():
    # a 1 -> b 5 -> d 1 and a 1 -> c 2 -> d 1: 7 by b; e 6 stands alone.
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


def test_done_jobs_are_left_out():
    jobs = [
        Job("a", "prepare_data", to_run=False),
        Job("b", "generate", needs=("a",)),
        Job("c", "plot_samples", needs=("b",)),
    ]
    found = {"a": Cost(100.0, Work()), "b": Cost(36.0, Work(images=5)), "c": Cost(36.0, Work())}
    rows = summary.table(jobs, found, MACHINE)
    assert [(row["stage"], row["jobs"], row["images"]) for row in rows] == [
        ("generate", 1, 5),
        ("plot_samples", 1, 0),
        ("total", 2, 5),
        ("done already", 1, 0),
    ]
    assert rows[2]["core_hours"] == rows[2]["chain_hours"] == pytest.approx(0.02)


def test_a_budget_that_does_not_suffice_is_told_with_its_mend():
    total = {"jobs": 3, "core_hours": 4.0, "money": 1.0}
    summary.within({}, total)
    summary.within({"core_hours": 4, "money": 2}, total)
    with pytest.raises(
        summary.OverBudget,
        match=r"3 jobs takes core_hours 4, but the budget has 3\.5.*No job was started.*raise `budget`",
    ):
        summary.within({"core_hours": 3.5}, total)
    with pytest.raises(summary.OverBudget, match="unknown gpu_hour; known: core_hours, money"):
        summary.within({"gpu_hour": 1}, total)
    with pytest.raises(summary.OverBudget, match="'much': not numbers by name"):
        summary.within("much", total)
    with pytest.raises(summary.OverBudget):
        summary.within({"core_hours": "3.5"}, total)  # as a command line has it


def test_the_page_warns_of_jobs_longer_than_their_rules_ask_for():
    jobs = [
        Job(
            "a",
            "generate",
            {"study": "digits", "source": "diffusion_alt_texts", "shard": "00000"},
            runtime=0.1,
        ),
        Job("b", "score", {"study": "digits", "source": "real"}, runtime=0.1),
        Job("c", "fit_laws", {"study": "digits", "law": "clip"}, runtime=60),
    ]
    found = summary.costs(jobs, {"digits": DIGITS}, MACHINE)
    told = "\n".join(
        plan.text(["figures/digits/samples.pdf"], jobs, found, MACHINE, [], "Too dear.")
    )
    # 10 s. (No GPU: no column of GPU-hours.) Generation resumes, and may take several allocations.
    assert "score: the longest job is planned to take 0.167 minutes, its rule asks for 0.1." in told
    assert "generate: the longest" not in told and "fit_laws: the longest" not in told
    assert "GPU-hours" not in told
    assert "**Too dear.**" in told and "3 jobs are left to do on: test machine" in told


def test_plan_page_shows_texts_of_the_user_literally():
    """The title of the machine and the override come from files and the command line."""
    jobs = [Job("a", "score", {"study": "digits", "source": "real"}, runtime=60)]
    machine = MACHINE.model_copy(update={"title": "a *fast* box, $2 an hour"})
    found = summary.costs(jobs, {"digits": DIGITS}, machine)
    changed = "{digits.title: '*a* [b](c)'}"
    html = pages.page(
        "",
        "\n\n".join(
            plan.text(["figures/digits/samples.pdf"], jobs, found, machine, [], "", changed)
        ),
    )
    assert machine.title in html
    assert changed in unescape(html)


def test_what_a_smaller_study_would_save():
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
    rows = {
        row["stage"]: row["core_hours"] * 3600
        for row in what_if.table(jobs, {"digits": DIGITS}, MACHINE)
    }
    # Whole: 10 + 1,920 x 0.01 + 10 + 2,100 x 0.01 = 60.2 s. No speed here is by steps of the
    # sampler.
    assert rows["half the sampling steps"] == pytest.approx(60.2)
    assert rows["half the training iterations"] == pytest.approx(60.2 - 10.5)
    # 960 images; sizes to 240: 3 x (100 + 100 + 150 + 150) = 1,500 iterations.
    assert rows["half the largest size"] == pytest.approx(60.2 - 9.6 - 6.0)


def test_speeds_are_found_again_in_what_jobs_took():
    # 5 s to start and 0.02 s a step; then of a single job, whose work takes all of the time.
    steps = [100, 500, 2000]
    rows = [(Work({"job": 1, "step": n}), 5 + 0.02 * n) for n in steps]
    assert fit(rows, ("step", "job")) == pytest.approx({"step": 0.02, "job": 5.0})
    assert fit(rows[:1], ("step", "job")) == pytest.approx({"step": 0.07})
    assert fit([(Work(), 1.0), (Work(), 3.0)], ("job",)) == pytest.approx({"job": 2.0})


# -- what holds of any plan ------------------------------------------------------------------------------------------------------------

SECONDS = st.floats(0, 1e6)
COSTS = st.lists(
    st.builds(
        Cost,
        SECONDS,
        st.builds(
            Work, images=st.integers(0, 10**9), kept=st.integers(0, 10**15), gpus=st.integers(0, 8)
        ),
    ),
    max_size=8,
)


@given(COSTS, COSTS)
def test_totals_are_additive(one, two):
    jobs = [Job(str(i), "r") for i in range(len(one) + len(two))]
    found = dict(zip((job.key for job in jobs), one + two, strict=True))
    parts = [summary.row("", own, found, MACHINE) for own in (jobs[: len(one)], jobs[len(one) :])]
    whole = summary.row("", jobs, found, MACHINE)
    for key in (
        "jobs",
        "gpu_hours",
        "core_hours",
        "images",
        "disk_kept_gb",
        "disk_peak_gb",
        "money",
        "kwh",
        "co2_kg",
    ):
        assert whole[key] == pytest.approx(parts[0][key] + parts[1][key])
    assert whole["chain_hours"] == pytest.approx(max(part["chain_hours"] for part in parts))


@given(st.lists(st.tuples(SECONDS, st.sets(st.integers(0, 7))), max_size=8))
def test_a_chain_is_no_longer_than_all_and_no_shorter_than_a_job(rows):
    jobs = [
        Job(str(i), "r", needs=tuple(str(need) for need in needs if need < i))
        for i, (_, needs) in enumerate(rows)
    ]
    own = {str(i): s for i, (s, _) in enumerate(rows)}
    total, chain = summary.longest_chain(jobs, own)
    assert max(own.values(), default=0) <= total <= sum(own.values()) * (1 + 1e-9)
    assert total == pytest.approx(sum(own[key] for key in chain))


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(1, 100), st.integers(0, 100))
def test_costs_rise_with_images_and_iterations(images, more, iterations, further):
    def study(count, steps):
        source = DIGITS.sources["diffusion_alt_texts"].model_copy(update={"images": {1.5: count}})
        recipe = DIGITS.classifiers.model_copy(
            update={"iterations": dict.fromkeys(DIGITS.classifiers.iterations, steps)}
        )
        return DIGITS.model_copy(
            update={
                "images_per_shard": 10**7,
                "sources": DIGITS.sources | {"diffusion_alt_texts": source},
                "classifiers": recipe,
            }
        )

    for rule, wildcards in [
        ("generate", {"source": "diffusion_alt_texts", "shard": "00000"}),
        ("train_classifiers", {"source": "real", "group": "vit_small"}),
    ]:
        less = summary.cost(study(images, iterations), rule, wildcards, MACHINE)
        larger = summary.cost(study(images + more, iterations + further), rule, wildcards, MACHINE)
        assert less.seconds <= larger.seconds and less.work.kept <= larger.work.kept


def test_a_job_asks_for_twice_what_is_planned_and_more_with_each_attempt():
    own = estimates.ResourceEstimates({"digits": DIGITS}, "laptop")
    job = {"study": "digits", "source": "diffusion_class_names", "shard": "00000"}
    planned = cost(DIGITS, "generate", job, hardware.load("laptop"))
    minutes = own.runtime("generate", job)
    assert minutes == max(10, math.ceil(planned.seconds / 30))
    assert own.runtime("generate", job, attempt=3) == 3 * minutes
    assert own.disk_gb("generate", job) == math.ceil((planned.work.kept + planned.work.state) / 1e9)
    assert own.gpu_hours("generate", job) == 0  # the digits have no use for one


def test_where_a_machine_has_no_speed_for_a_job_its_rule_guesses(tmp_path):
    empty = (ROOT / "profiles/hardware/laptop.yaml").read_text(encoding="utf-8").partition(
        "rates:"
    )[0] + "rates: []\n"
    (tmp_path / "empty.yaml").write_text(empty, encoding="utf-8")
    own = estimates.ResourceEstimates({"digits": DIGITS}, "laptop")
    own.machine = hardware.load("empty", tmp_path)
    job = {"study": "digits", "source": "diffusion_class_names", "shard": "00000"}
    assert own.runtime("generate", job, attempt=2) == 2 * estimates.MINUTES["generate"]

"""Which partition takes a job, how many allocations it needs, and what several GPUs change."""

import inspect
import math
import re
import textwrap
from types import SimpleNamespace

import pytest

from synscale.cluster import partitions, site
from synscale.cluster.partitions import Request
from synscale.cluster.site import Partition, Site
from synscale.planning import estimates, hardware, summary
from synscale.planning.cost_model import Work
from synscale.planning.summary import Cost, Job
from synscale.study.load import load_study
from synscale.workflow import rule_names
from tests.support.workflow import ROOT

SITE = Site(
    (
        Partition("cpu", max_runtime=1440, max_mem_mb=250_000, max_threads=64),
        Partition("gpu", max_runtime=2880, max_mem_mb=500_000, max_threads=64, max_gpu=8),
        Partition("large", max_runtime=240, max_mem_mb=2_000_000, max_threads=64, max_gpu=64),
    )
)
DIGITS = load_study(str(ROOT / "studies/digits.yaml"))
RULES = rule_names.rules()


def names(request: Request) -> list[str]:
    return [partition.name for partition in partitions.taking(SITE, request)]


def test_taking_compares_every_limit():
    assert names(Request(gpu=1, runtime=240)) == ["gpu", "large"]
    assert names(Request(gpu=1, runtime=241)) == ["gpu"]
    assert names(Request(gpu=16, threads=64, mem_mb=1_000_000, runtime=240)) == ["large"]
    assert names(Request(gpu=16, threads=65)) == []


def test_jobs_without_gpu_leave_gpu_partitions_if_they_can():
    assert names(Request(runtime=1440)) == ["cpu"]
    assert names(Request(runtime=1441)) == ["gpu"]


def test_named_partition_is_the_only_one():
    assert names(Request(gpu=1, runtime=241, partition="large")) == []
    assert names(Request(gpu=1, runtime=10**6, partition="elsewhere")) == [
        "elsewhere"
    ]  # its limits are unknown


def test_partitions_of_other_gpus_or_clusters_take_no_gpu_job():
    several = (
        Partition("old", max_gpu=8, gpu_models=("v100",)),
        Partition("far", max_gpu=8, cluster="other"),
        Partition("new", max_gpu=8, max_nodes=2),
    )
    mixed = Site(several, gpu_model="a100")
    assert [p.name for p in partitions.taking(mixed, Request(gpu=8))] == ["new"]
    assert partitions.taking(mixed, Request(gpu=8, nodes=4)) == []
    (problem,) = partitions.misfits([Job("a", "generate", gpu=8, nodes=4)], mixed)
    assert "(nodes 4, expected at most 2 in 'new')" in problem


@pytest.mark.parametrize(
    ("request_", "planned", "resumable", "minutes"),
    [
        (Request(gpu=1, runtime=40_000), 20_000, True, 2880),
        (Request(gpu=16, runtime=40_000), 20_000, True, 240),
        (Request(gpu=1, runtime=100), 50, True, 100),
        (Request(gpu=1, runtime=4000), 2000, False, 2880),  # less than twice the plan
        (Request(gpu=1, runtime=6000), 3000, False, 3000),  # fits nowhere, and is reported
        (Request(gpu=128, runtime=6000), 3000, True, 6000),
    ],
)
def test_runtime_is_limited_to_a_partition(request_, planned, resumable, minutes):
    assert partitions.runtime(SITE, request_, planned, resumable) == minutes


def test_memory_of_later_attempts_is_limited_to_a_partition():
    def memory(request, first, planned=100, resumable=True):
        return partitions.memory(SITE, request, first, planned, resumable)

    assert memory(Request(mem_mb=200_000), 100_000) == 200_000
    assert memory(Request(mem_mb=300_000), 100_000) == 250_000
    assert memory(Request(gpu=1, mem_mb=900_000), 300_000) == 900_000
    # A job of 10 hours that cannot resume has to stay where 10 hours are allowed.
    assert memory(Request(gpu=1, mem_mb=900_000), 300_000, 600, resumable=False) == 500_000
    assert memory(Request(gpu=128, mem_mb=900_000), 300_000) == 300_000


def test_allocations_repeat_the_start_and_the_margin():
    # 120 minutes without 5 of the margin and 1 of the start: 114 are left for 10 hours.
    assert partitions.count(60 + 36_000, 60, 120) == math.ceil(600 / 114) == 6
    assert partitions.count(60 + 114 * 60, 60, 120) == 1
    assert partitions.count(10**9, 60, None) == 1


def jobs_and_costs():
    jobs = [
        Job("a", "train_clip", gpu=8, runtime=120, mem_mb=10),
        Job("b", "train_clip", gpu=8, runtime=120, mem_mb=10),
        Job("c", "score", gpu=1, runtime=3000, mem_mb=10),
        Job("d", "score", gpu=1, runtime=4000, mem_mb=10),
        Job("e", "generate", gpu=80, runtime=9000, mem_mb=10),
        Job("f", "plot_scaling", runtime=9000, mem_mb=10, local=True),
        Job("g", "train_clip", gpu=80, to_run=False),
    ]
    hours = {"a": 10, "b": 20, "c": 40, "d": 50, "e": 150, "f": 1, "g": 1}
    return jobs, {job.key: Cost(hours[job.key] * 3600.0, Work(), 60.0) for job in jobs}


def test_report_counts_allocations_of_the_longest_job():
    jobs, costs = jobs_and_costs()
    assert partitions.report(jobs[:4], costs) == [
        "train_clip: 2 jobs continue in several allocations; the longest takes 20 h in "
        "11 allocations of 2 h."
    ]


def test_misfits_name_resource_limit_and_partition():
    jobs, _ = jobs_and_costs()
    score, generate = partitions.misfits(jobs, SITE)
    assert (
        "no partition takes 2 jobs of score (runtime 4,000 min, expected at most 2,880 in 'gpu')"
        in score
    )
    assert (
        "no partition takes 1 job of generate (gpu 80, expected at most 64 in 'large')" in generate
    )
    assert partitions.misfits(jobs, Site()) == partitions.misfits(jobs, None) == []


def test_documented_site_file_has_settings_for_every_stage(tmp_path):
    document = (ROOT / "docs/guides/several_gpus.md").read_text(encoding="utf-8")
    text = re.search(r"```yaml\n(.*?)```", document, re.DOTALL)[1]
    (tmp_path / "site.yaml").write_text(textwrap.dedent(" " * 3 + text.lstrip()))
    site_file = site.load(tmp_path / "site.yaml")
    on_gpus = {name for name, text in RULES.items() if "gpu=resources.gpu," in text}
    assert set(site_file.set_resources) == hardware.PARALLEL
    assert on_gpus - {"train_generator", "finetune_generator"} == set(site_file.set_threads)
    for rule, values in site_file.set_resources.items():
        request = Request(gpu=values["gpu"], threads=site_file.set_threads[rule], runtime=2880)
        assert partitions.taking(site_file, request), rule
    paper = load_study(str(ROOT / "studies/imagenet.yaml"))
    assert paper.classifiers.batch_size % site_file.set_resources["train_classifiers"]["gpu"] == 0
    assert paper.clip.batch_size % site_file.set_resources["train_clip"]["gpu"] == 0


# -- several GPUs ----------------------------------------------------------------------------------


def test_several_gpus_shorten_a_job_by_the_stated_efficiency():
    machine = hardware.load("a100", ROOT / "profiles/hardware")
    assert [machine.speedup(n) for n in (0, 1, 2, 8)] == pytest.approx([1, 1, 1.8, 8 * 0.9**3])
    work = {"job": 1, "tflop": 1e6}
    one = machine.seconds("train_clip", Work(work, gpus=1))
    eight = machine.seconds("train_clip", Work(work, gpus=8))
    assert one == 60 + 12_800
    assert eight == pytest.approx(60 + 12_800 / (8 * 0.9**3))
    # GPU-hours grow by 1 / efficiency, and rules that use one GPU are no faster with eight.
    assert 8 * (eight - 60) == pytest.approx((one - 60) / 0.9**3)
    assert machine.seconds("score", Work({"job": 1, "image": 100}, gpus=8)) == 61


def test_costs_use_the_gpus_that_a_job_requests():
    wildcards = {"study": "digits", "source": "real", "group": "vit_small"}
    jobs = [Job(str(gpu), "train_classifiers", wildcards, gpu=gpu) for gpu in (0, 4)]
    machine = hardware.load("a100", ROOT / "profiles/hardware")
    costs = summary.costs(jobs, {"digits": DIGITS}, machine)
    assert costs["4"].seconds - 60 == pytest.approx((costs["0"].seconds - 60) / (4 * 0.81))
    assert costs["4"].work.gpus == 4
    assert costs["4"].start == 60


def test_rules_that_share_gpus_and_that_resume_are_known():
    """Every rule that starts a process for each GPU, and every rule that keeps training state."""
    several = re.compile(r"synscale\.runtime\.launch \{resources\.gpu\} \S+ \{threads\} scripts\.")
    assert {name for name, text in RULES.items() if several.search(text)} == hardware.PARALLEL
    assert {
        name for name, text in RULES.items() if "--state {params.state:q}" in text
    } == partitions.RESUMABLE


class Declared:
    """A resource as Snakemake holds it: a function of wildcards and of what it takes of the
    context.
    """

    def __init__(self, function):
        self.function = function

    def evaluate(self, wildcards, **context):
        keys = inspect.signature(self.function).parameters
        value = self.function(wildcards, **{key: context[key] for key in keys if key in context})
        return SimpleNamespace(value=value)


@pytest.mark.parametrize(("first", "guess"), [(300_000, 100), (300_000, 2000), (400_000, 4000)])
def test_no_attempt_requests_more_than_a_partition_takes(monkeypatch, first, guess):
    """A second attempt that fitted nowhere went to the default partition, which has no GPU."""
    resources = {"gpu": Declared(lambda _: 1)}
    resource_estimates = estimates.ResourceEstimates(
        {"digits": DIGITS}, "laptop", SITE, lambda _: resources
    )
    rule = "generate" if guess == 4000 else "score"
    resources["mem_mb"] = Declared(lambda wildcards, attempt: memory(attempt))
    monkeypatch.setitem(estimates.MINUTES, rule, guess)
    resource_estimates.cost_on = lambda *_: None  # the machine has no speed: the guess counts
    job = {"study": "nowhere"}

    def memory(attempt: int) -> int:
        return resource_estimates.mem_mb(rule, job, first, attempt)

    requests = [
        Request(
            gpu=1, mem_mb=memory(attempt), runtime=resource_estimates.runtime(rule, job, attempt)
        )
        for attempt in (1, 2, 3)
    ]
    assert all(map(names, requests))
    assert requests[0].mem_mb == first < requests[1].mem_mb
    assert requests[0].runtime == min(guess, 2880)


def test_gpu_trainings_request_memory_for_a_copy_of_their_state():
    paper = {"imagenet": load_study(str(ROOT / "studies/imagenet.yaml"))}
    resource_estimates = estimates.ResourceEstimates(
        paper, "a100", None, lambda _: {"gpu": Declared(lambda _: 1)}
    )
    job = {"study": "imagenet", "source": "real", "group": "vit_large-n125000-seed0"}
    # At least the 4.9 GB of docs/reference/reliability.md: 304 million parameters of 4 bytes, 4
    # copies.
    assert resource_estimates.saving_mb("train_classifiers", job) >= 4900
    on_cpu = estimates.ResourceEstimates(
        paper, "a100", None, lambda _: {"gpu": Declared(lambda _: 0)}
    )
    assert on_cpu.saving_mb("train_classifiers", job) == 0

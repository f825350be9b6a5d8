"""The site file of a SLURM cluster: what it means, and which errors in it are reported."""

import contextlib
import os
import re
from pathlib import Path

import pytest
import yaml
from snakemake.profiles import ProfileConfigFileParser

from synscale.cluster import site, site_check, site_resources
from synscale.cluster.site import Partition, Site, SiteError
from synscale.workflow import rule_names
from tests.support.workflow import ROOT

FIGURE = "figures/smoke/supervised_scaling.pdf"
SITE = """
account: lab
qos: long
gpu_model: a100
constraint: nvlink&ib
default-resources: {slurm_extra: --mail-type=FAIL}
set-resources: {score: {mem_mb: 9000}, train_clip: {gpu: 16, nodes: 2}}
set-threads: {train_classifiers: 8}
partitions:
  cpu: {max_runtime: 1d, max_mem_mb: 250000}
  gpu: {max_runtime: "2-12:00:00", max_threads: 64, max_cpus_per_task: 32, max_gpu: 8}
"""


@pytest.fixture
def load(tmp_path):
    """Write a site file and load it."""

    def write_and_load(text: str) -> Site:
        (tmp_path / "site.yaml").write_text(text)
        return site.load(tmp_path / "site.yaml")

    return write_and_load


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A copy of profiles/slurm in another checkout, without a site file."""
    monkeypatch.setenv(site.VARIABLE, "")  # the profile sets it
    folder = tmp_path / "clone/profiles/slurm"
    folder.mkdir(parents=True)
    (tmp_path / "clone/scripts").symlink_to(ROOT / "scripts")
    (tmp_path / "clone/synscale").symlink_to(ROOT / "synscale")
    (folder / "config.yaml").write_text((ROOT / "profiles/slurm/config.yaml").read_text())
    return folder


@pytest.fixture
def profile(folder, tmp_path, monkeypatch):
    """Read the profile as Snakemake does, with a site file and from another working directory."""

    def read(text: str | None) -> dict:
        if text is not None:
            (folder / "site.yaml").write_text(text)
        monkeypatch.chdir(tmp_path)
        with Path("clone/profiles/slurm/config.yaml").open() as stream:
            return ProfileConfigFileParser().parse(stream)

    return read


def test_partitions_have_minutes_and_limits(load):
    cpu, gpu = load(SITE).partitions
    assert cpu == Partition("cpu", max_runtime=24 * 60, max_mem_mb=250000)
    assert gpu == Partition("gpu", max_runtime=60 * 60, max_threads=32, max_gpu=8)


def test_missing_or_empty_site_file_has_no_settings(load, tmp_path):
    assert site.load(tmp_path / "missing.yaml") == load("# account: lab\n") == Site()


def test_nodes_share_gpus_and_get_a_task_each(load):
    resources = load(SITE).rule_resources()
    assert resources["score"] == {"mem_mb": 9000}
    clips = resources["train_clip"]
    assert (clips["gpu"], clips["nodes"], clips["tasks"], clips["mpi"]) == (16, 2, 2, "'srun'")
    # SLURM refuses a type in one place only.
    assert clips["slurm_extra"] == "'--gpus-per-node=a100:8'"
    untyped = load("set-resources: {train_clip: {gpu: 16, nodes: 2}}").rule_resources()
    assert untyped["train_clip"]["slurm_extra"] == "'--gpus-per-node=8'"


def test_profile_finds_site_file_from_any_directory(profile, tmp_path):
    settings = profile(SITE)
    path = tmp_path / "clone/profiles/slurm/site.yaml"
    assert settings["slurm-partition-config"] == str(path)
    assert settings["slurm-qos"] == "long"
    assert settings["default-resources"] == [
        "mem_mb=2000",
        "runtime=30",
        "slurm_account='lab'",
        "slurm_extra='--mail-type=FAIL'",
    ]
    assert site.current() == site.load(path)


def test_profile_without_site_file_asks_for_nothing_else(profile):
    settings = profile(None)
    assert settings["default-resources"] == ["mem_mb=2000", "runtime=30"]
    assert not {"slurm-qos", "slurm-partition-config"} & set(settings)
    assert site.current() == Site()


def test_profile_stops_with_the_message_of_the_site_file(profile):
    with pytest.raises(SystemExit, match=r"site.yaml: acount: unknown key; did you mean 'account'"):
        profile("acount: lab")


def test_python_in_a_path_with_a_space_is_refused(profile, monkeypatch):
    monkeypatch.setattr("sys.executable", "/home/my project/.venv/bin/python")
    with pytest.raises(SystemExit, match=r"^/home/my project/.*: the path of Python has a space"):
        profile(None)


def test_run_without_the_profile_has_no_site(monkeypatch):
    monkeypatch.delenv(site.VARIABLE, raising=False)
    assert site.current() is None


def test_example_is_a_valid_site_file():
    path = ROOT / "profiles/slurm/site.example.yaml"
    assert {"cpu", "gpu"} == {partition.name for partition in site.load(path).partitions}
    # Also with every commented line, which users uncomment.
    text = re.sub(r"^# ?(?=[\w-]+:|  )", "", path.read_text(), flags=re.MULTILINE)
    assert set(yaml.safe_load(text)) == set(site_check.KEYS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_jobs: 3", "max_jobs: unknown key; known: account, qos"),
        (
            "account: no",
            'account: is not text (no is read as False); write it in quotes: account: "no"',
        ),
        (
            "account: 0123",
            'account: is not text (0123 is read as 83); write it in quotes: account: "0123"',
        ),
        ("qos:", "qos: is empty (expected text); remove the key or give it a value"),
        ("account: a\naccount: b", "account: appears 2 times; keep one"),
        (
            "gpu_model: a100-sxm4",
            "gpu_model: not supported by snakemake-executor-plugin-slurm 2.8 ('a100-sxm4'",
        ),
        (
            "gres: true",
            "gres: not supported: version 2.8 of snakemake-executor-plugin-slurm requests GPUs by",
        ),
        ("set-resources:", "set-resources: is empty (expected rules and their resources)"),
        ("set-resources: [score]", "set-resources: is no mapping (['score']) (expected rules"),
        ("set-resources: {score: }", "set-resources.score: is empty (expected resource: value)"),
        (
            "set-resources: {train_classifers: {gpu: 2}}",
            "set-resources.train_classifers: unknown rule; did you mean 'train_classifiers'?",
        ),
        (
            "set-resources: {score: {gpus: 2}}",
            "set-resources.score.gpus: unknown resource; did you mean 'gpu'?",
        ),
        (
            "set-resources: {score: {gpu: true}}",
            "set-resources.score.gpu: is no number (true, expected an integer",
        ),
        (
            "set-resources: {score: {gres: 'gpu:1'}}",
            "set-resources.score.gres: not supported: version 2.8",
        ),
        (
            "set-resources: {score: {mem: 1, mem_mb: 2}}",
            "set-resources.score: names memory 2 times (mem, mem_mb)",
        ),
        (
            "set-resources: {train_clip: {gpu: 3, nodes: 2}}",
            "set-resources.train_clip: gpu = 3 is not divisible by nodes = 2",
        ),
        (
            "set-resources: {generate: {gpu: 8, nodes: 2}}",
            "set-resources.generate: nodes = 2: only train_clip and train_classifiers",
        ),
        (
            "set-threads: {generate: all}",
            "set-threads.generate: is no number (all, expected an integer of at least 1)",
        ),
        (
            "default-resources: {runtime: 2:00}",
            "default-resources.runtime: is read as the number 120 (2:00)",
        ),
        ("partitions:", "partitions: is empty (expected partitions and their limits)"),
        ("partitions: {cpu: }", "partitions.cpu: is no mapping (expected limits); write {}"),
        (
            "partitions: {gpu: {max_gpus: 4}}",
            "partitions.gpu.max_gpus: unknown key; did you mean 'max_gpu'?",
        ),
        ("partitions: {7: {}}", "partitions.7: the name is not text (7); write it in quotes"),
        (
            "partitions: {cpu: {max_mem_mb: 250G}}",
            "partitions.cpu.max_mem_mb: is no number (250G, expected an",
        ),
        (
            "partitions: {cpu: {max_runtime: 12:00:00}}",
            "partitions.cpu.max_runtime: is read as 43200 minutes (12:00:00); write it in quotes",
        ),
        (
            "partitions: {cpu: {max_runtime: soon}}",
            "partitions.cpu.max_runtime: is no time (soon, expected minutes",
        ),
        ("- account", "is no mapping (['account'], expected `key: value` lines)"),
        ("account: [", "is not valid YAML (while parsing"),
    ],
)
def test_problem_is_reported_with_its_fix(load, tmp_path, text, message):
    with pytest.raises(SiteError) as error:
        load(text)
    assert str(error.value).startswith(f"{tmp_path}/site.yaml: {message}")


def test_all_problems_are_reported_at_once(load):
    with pytest.raises(SiteError) as error:
        load("account: no\nset-threads: {train_klip: 8}\npartitions: {gpu: {max_gpus: 4}}\n")
    assert [line.split(": ")[1] for line in str(error.value).splitlines()] == [
        "account",
        "set-threads.train_klip",
        "partitions.gpu.max_gpus",
    ]


def test_head_node_with_one_core_requests_threads_as_written(workflow, folder, monkeypatch):
    """Entries of the command line replace those of the site file one by one."""
    monkeypatch.setattr("snakemake.cli.available_cpu_count", lambda: 1)
    (folder / "site.yaml").write_text(SITE)
    workflow.edit("gpus: 0", "gpus: 1")
    printed = workflow.dry_run(
        *(FIGURE, "-p"),
        *("--profile", str(folder)),
        *("--config", "hardware=a100"),
        *("--default-resources", "constraint=fast"),
        *("--set-resources", "train_classifiers:runtime=7"),
        *("--set-threads", "generate=3"),
    )
    jobs = dict(re.findall(r"^rule (\w+):\n((?: .*\n)+)", printed, re.MULTILINE))
    training = jobs["train_classifiers"]
    assert "threads: 8" in training
    assert "mem_mb=11000" in training
    assert "runtime=7" in training
    assert "gpu_model=a100" in training
    assert "constraint=nvlink&ib" in training
    assert "threads: 3" in jobs["generate"]
    plotting = jobs["plot_scaling"]
    assert "constraint=fast" in plotting
    assert "slurm_account=lab" in plotting
    assert "gpu_model" not in plotting


def test_gpu_study_is_refused_with_hardware_without_gpu(workflow, folder):
    workflow.edit("gpus: 0", "gpus: 1")
    printed = workflow.dry_run(FIGURE, "--quiet", "--profile", str(folder), check=False)
    assert "config.yaml: hardware = 'laptop': is a machine without GPU, but jobs of" in printed
    assert "studies/smoke.yaml request GPUs; choose a file of" in printed
    assert "profiles/hardware with GPUs (a100, h100)" in printed
    assert "train_classifiers" not in printed


def test_rule_names_are_those_of_the_workflow(workflow):
    printed = workflow.dry_run("--list-rules")
    listed = set(re.findall(r"^([a-z_]+)$", printed, re.MULTILINE))
    assert listed - {"all"} == set(rule_names.rules())


def test_unknown_rule_on_the_command_line_is_refused(workflow, folder):
    options = ["--profile", str(folder), "--set-threads", "train_classifer=8"]
    printed = workflow.dry_run(FIGURE, *options, check=False)
    message = "train_classifer: unknown rule; did you mean 'train_classifiers'?"
    assert f"--set-threads: {message}" in printed


@pytest.mark.parametrize(("select", "refused"), [("linear", True), ("cons_tres", False)])
def test_slurm_that_accepts_gres_only_is_refused(tmp_path, monkeypatch, select, refused):
    command = tmp_path / "scontrol"
    command.write_text(f"#!/bin/sh\necho 'SelectType              = select/{select}'\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    expected = pytest.raises(SiteError, match="SelectType = select/linear: this SLURM accepts")
    with expected if refused else contextlib.nullcontext():
        site_resources.require_gpu_option()


def test_study_without_gpu_requests_none_from_a_gpu_site(workflow, folder, monkeypatch):
    (folder / "site.yaml").write_text(SITE)
    monkeypatch.setenv("SNAKEMAKE_PROFILE", str(folder))
    printed = workflow.dry_run("results/smoke/classifiers/real/vit_tiny", "-p")
    assert "threads: 8" in printed
    assert "gpu_model" not in printed
    assert "constraint" not in printed

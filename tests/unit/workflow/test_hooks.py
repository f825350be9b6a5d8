"""Checks before a run of Snakemake, and what a run prints at its end."""

import os
import re
import signal
import subprocess
import time
from types import SimpleNamespace

import pytest
import snakemake.cli
from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

from synscale.planning import dag
from synscale.runtime import environment, gpu_lock
from synscale.workflow import hooks
from tests.support.workflow import ROOT, SNAKEMAKE, Workflow, in_fork

PREPARED = "results/smoke/data/one_writer/00000.tar"
GENERATOR = "results/smoke/generators/diffusion"


def command(folder, *arguments: str) -> None:
    os.chdir(folder)
    snakemake.cli.main([*arguments])


def start(workflow: Workflow, *arguments: str, **variables: str) -> subprocess.Popen:
    """Start snakemake in a new group of processes, without permission to use the CPU."""
    names = ("PYTHONPATH", gpu_lock.CPU)
    environ = {name: value for name, value in os.environ.items() if name not in names} | variables
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    where = {"cwd": workflow.folder, "env": environ, "start_new_session": True}
    return subprocess.Popen([SNAKEMAKE, *arguments], **pipes, **where)


# -- messages at the end


@pytest.fixture
def ended(monkeypatch):
    """Return a function: the message after a run with these jobs failed and signals received."""

    def message(failed=(), interrupts=(), terminated=None) -> str:
        monkeypatch.setattr(hooks, "_INTERRUPTS", list(interrupts))
        scheduler = SimpleNamespace(failed=set(failed), _user_kill=terminated)
        return hooks.failure(SimpleNamespace(scheduler=scheduler))

    return message


def test_only_a_failed_job_is_reported_as_failed(ended):
    interrupted = f"Interrupted. {hooks.RESUME}"
    failed = f"A job failed; see the log path above. {hooks.RESUME}"
    assert ended(interrupts=[False]) == ended(terminated="graceful") == interrupted
    assert ended(interrupts=[False], failed=["its own job, which Ctrl-C ended"]) == interrupted
    assert ended(failed=["job"]) == ended(failed=["job"], interrupts=[True]) == failed
    assert ended(failed=["job"], terminated="graceful") == failed


def test_touch_does_not_claim_that_results_exist(workflow: Workflow):
    target = "tables/smoke/hyperparameters.csv"
    status, printed = in_fork(command, workflow.folder, "--touch", "--cores", "1", target)
    assert status == 0
    assert "--touch marks existing files as up to date and creates none; " in printed
    assert "do not exist, such as " in printed and "Results are in" not in printed


@pytest.mark.slow
def test_ctrl_c_is_not_a_failed_job(workflow: Workflow):
    workflow.edit("iterations: 20,", "iterations: 1000000,")
    process = start(workflow, GENERATOR)
    end = time.monotonic() + 120
    while not [*workflow.folder.glob(".state/**/*.csv")]:  # the history: the training has begun
        assert time.monotonic() < end and process.poll() is None, process.communicate()[0]
        time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it
    printed, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert f"Interrupted. {hooks.RESUME}" in printed and "A job failed;" not in printed


# -- budget


def test_dry_run_prints_an_exceeded_budget(workflow: Workflow):
    budget = "budget={core_hours: 0.00001, kwh: 5}"
    printed = workflow.dry_run(PREPARED, "--quiet", "--config", budget)
    assert "Budget: the plan of 1 jobs takes core_hours 0.0" in printed
    assert "but the budget has 1e-05" in printed


def test_dry_run_prints_what_is_left_of_a_budget(monkeypatch, capsys):
    monkeypatch.setattr(dag, "_total", lambda *_: {"jobs": 3, "core_hours": 1.25, "kwh": 0.5})
    dag.check_budget(None, {}, {"budget": {"core_hours": "50", "kwh": 1}}, dry_run=True)
    expected = "Budget: the plan of 3 jobs is within it (core_hours 1.25 of 50, kwh 0.5 of 1)\n"
    assert capsys.readouterr().out == expected
    dag.check_budget(None, {}, {}, dry_run=True)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("budget", "problem"),
    [
        ("all", "budget: not a mapping ('all'); write it as {core_hours: 2}"),
        ([1], "budget: not a mapping ([1])"),
        ({"core_hour": 1}, "budget.core_hour: unknown limit; did you mean 'core_hours'?"),
        ({"kwh": "much"}, "budget.kwh: not a limit ('much', expected a number from 0)"),
        ({"kwh": -1}, "budget.kwh: not a limit (-1,"),
        ({"kwh": None}, "budget.kwh: not a limit (None,"),
        ({"kwh": True}, "budget.kwh: not a limit (True,"),
        ({"kwh": "nan"}, "budget.kwh: not a limit ('nan',"),
    ],
)
def test_malformed_budget_is_an_error_before_planning(budget, problem):
    with pytest.raises(ValueError) as error:
        environment.check({"study": "digits", "budget": budget})
    assert str(error.value).startswith(f"config.yaml: {problem}")


def test_sound_budgets_pass():
    for budget in ({}, None, {"gpu_hours": "1000", "money": 2.5, "disk_peak_gb": 0}):
        environment.check({"study": "digits", "budget": budget})


# -- where it runs


def test_apptainer_without_images_is_refused():
    def workflow(*images, methods=(DeploymentMethod.APPTAINER,)):
        names = [f"rule{number}" for number in range(len(images))]
        rules = [
            SimpleNamespace(name=name, container_img=image, norun=name == "all")
            for name, image in zip([*names, "all"], [*images, None], strict=True)
        ]
        settings = SimpleNamespace(deployment_method=set(methods))
        return SimpleNamespace(rules=rules, deployment_settings=settings)

    hooks.check_containers(workflow("docker://image", "docker://image"))
    hooks.check_containers(workflow(None, None, methods=()))
    hooks.check_containers(workflow(None, None, methods=(DeploymentMethod.CONDA,)))
    with pytest.raises(WorkflowError, match=r"apptainer: 1 rules have no container .* \(rule1\);"):
        hooks.check_containers(workflow("docker://image", None))


def test_folder_without_the_workflow_is_one_sentence(tmp_path):
    status, printed = in_fork(command, tmp_path, "-s", str(ROOT / "Snakefile"), "-n")
    assert status == 1 and f"{tmp_path}: is not a folder of this workflow" in printed
    assert f"start snakemake in {ROOT}, or add --directory {ROOT}" in printed


@pytest.mark.slow
def test_modules_of_another_python_do_not_reach_jobs(workflow: Workflow, tmp_path):
    for name in ("scripts", "webdataset", "PIL"):  # Snakemake itself imports none of these
        (tmp_path / f"{name}.py").write_text("raise ImportError('of another Python')")
    process = start(workflow, PREPARED, PYTHONPATH=str(tmp_path), PYTHONSAFEPATH="1")
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0, printed
    assert (workflow.folder / PREPARED).exists()


def test_variables_of_another_python_are_unset(monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    for name in environment.FOREIGN_PYTHON:
        os.environ[name] = "/opt/python3.9"
    environment.prepare()
    assert not set(environment.FOREIGN_PYTHON) & os.environ.keys()


# -- GPUs of this machine


@pytest.mark.parametrize(
    ("mask", "limit", "registered"),
    [("2,3", 8, 2), ("2,3", None, 2), ("2,3", 1, None), ("", 8, None)],
)
def test_jobs_at_once_are_limited_to_visible_gpus(monkeypatch, mask, limit, registered):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", mask)
    resources = {} if limit is None else {"gpu": SimpleNamespace(value=limit)}
    changes = {}
    workflow = SimpleNamespace(global_resources=resources, register_resource=changes.__setitem__)
    hooks.limit_gpus(workflow)
    assert changes.get("gpu") == registered


@pytest.mark.slow
def test_limit_replaces_that_of_the_profile(workflow: Workflow):
    process = start(workflow, "--profile", "profiles/gpus", PREPARED, CUDA_VISIBLE_DEVICES="3")
    printed, _ = process.communicate(timeout=200)
    assert process.returncode == 0, printed
    assert re.search(r"^Provided resources: gpu=\D*1\b", printed, re.MULTILINE)


@pytest.mark.slow
def test_no_gpu_job_starts_on_a_machine_without_gpu(workflow: Workflow):
    workflow.edit("gpus: 0", "gpus: 1")
    process = start(workflow, GENERATOR, CUDA_VISIBLE_DEVICES="")
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "train_generator: node " in printed and "No job was started" in printed
    assert "torch cannot use the GPUs of this job (0 usable, expected 1)" in printed
    assert not (workflow.folder / "results").exists()

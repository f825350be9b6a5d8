"""Jobs in containers: the image, the jobs that are planned, and a job that runs."""

import os
import re
from pathlib import Path

import pytest
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

from synscale.runtime import environment
from tests.support.workflow import ROOT, Workflow, in_fork

IN_CONTAINER = ("--software-deployment-method", "apptainer")
# Runs the command on this machine. Writes down how it was called.
APPTAINER = """#!/bin/bash
[ "$1" = --version ] && echo "apptainer version 1.3.0" && exit
echo "$@" >> "{log}"
for part in "$@"; do command="$part"; done
exec bash -c "$command"
"""


def set_image(workflow: Workflow, image: str) -> None:
    lines = f"study: smoke\nhardware: laptop\ncontainer: {image}\n"
    (workflow.folder / "config.yaml").write_text(lines)


def images_of_jobs(folder: Path) -> None:
    """Print the image and the rule of every job that is planned."""
    os.chdir(folder)
    quiet = OutputSettings(dryrun=True, log_level_override=40, enable_file_logging=False)
    with SnakemakeApi(quiet) as api:
        cores, config = ResourceSettings(cores=1), ConfigSettings()
        workflow = api.workflow(cores, config, snakefile=folder / "Snakefile", workdir=folder)
        workflow.dag().execute_workflow(pseudo_executor="dryrun")
        for job in workflow._workflow.dag.jobs:
            if not job.is_norun:
                print("image", job.container_img_url, job.rule.name)


def test_every_planned_job_has_the_image(workflow):
    image = "docker://registry.example/scaling:1"
    set_image(workflow, image)
    status, printed = in_fork(images_of_jobs, workflow.folder)
    assert status == 0, printed
    jobs = re.findall(r"^image (\S+) (\w+)$", printed, re.MULTILINE)
    assert len({rule for _, rule in jobs}) > 20
    assert {container for container, _ in jobs} == {image}


@pytest.mark.parametrize(
    ("value", "used", "error"),
    [
        ("missing.sif", True, r"container = 'missing\.sif': no such file in .*; build it "),
        ("a b.sif", False, "not a path or an address without spaces"),
        ({"image": "x"}, False, "not a path or an address without spaces"),
    ],
)
def test_wrong_image_is_an_error_of_config(value, used, error):
    with pytest.raises(ValueError, match=f"config.yaml: .*{error}"):
        environment.container({"container": value}, used)


def test_missing_image_does_not_matter_without_containers():
    assert environment.container({"container": "missing.sif"}, used=False) == "missing.sif"
    assert environment.container({"container": "docker://a/b"}, used=True) == "docker://a/b"
    assert environment.container({"container": None}, used=True) == ""


@pytest.mark.slow
def test_job_runs_by_the_command_of_the_container(workflow, tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/apptainer").write_text(APPTAINER.format(log=tmp_path / "log"))
    (tmp_path / "bin/apptainer").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    (workflow.folder / "scaling.sif").touch()
    set_image(workflow, "scaling.sif")
    target = "results/smoke/prompts/class_names.parquet"
    workflow.run(target, *IN_CONTAINER, "--apptainer-args=--nv")
    assert (workflow.folder / target).exists()
    called = (tmp_path / "log").read_text()
    assert re.search(r"exec .*--nv.* scaling\.sif .*python -m scripts\.write_prompts", called)


# -- the image -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Dockerfile", "apptainer.def"])
def test_image_is_installed_as_by_make(name):
    text = (ROOT / "envs" / name).read_text()
    before_installation = re.split("RUN python|%post", text)[0]
    copied = set(re.findall(r"\b(\w+\.(?:py|lock))(?= )", before_installation))
    assert copied == {"install.py", "laptop.lock", "cuda.lock"}
    assert all((ROOT / "envs" / file).is_file() for file in copied)
    assert "python /opt/envs/install.py --compile /opt/venv" in text
    assert not re.search(r"\b(pip|uv|conda) install\b", text)
    assert "\n\t$(PYTHON) envs/install.py $(VENV)\n" in (ROOT / "Makefile").read_text()
    assert re.search(r"PATH=/opt/venv/bin:", text)

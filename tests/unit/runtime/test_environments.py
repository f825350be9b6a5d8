"""The conda files and the lock name the same versions."""

import re
import sys
from importlib.metadata import packages_distributions, requires

import pytest
import yaml
from packaging.requirements import Requirement

from synscale.workflow import rule_names
from synscale.workflow.code_inputs import imports
from tests.support.workflow import ROOT


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lines) -> dict[str, str]:
    versions = {}
    for line in lines:
        line = line.split("#")[0].strip(" \\")
        if line and not line.startswith("--hash"):
            name, version = line.split("==")
            versions[normal(name)] = version
    return versions


DISTRIBUTIONS = packages_distributions()
LOCK = pins((ROOT / "envs/laptop.lock").read_text().splitlines())


@pytest.mark.parametrize("path", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda path: path.stem)
def test_conda_files_have_the_pins_of_the_lock(path):
    dependencies = yaml.safe_load(path.read_text())["dependencies"]
    conda_pins = pins(dependencies[-1]["pip"])
    assert conda_pins
    assert conda_pins == {name: LOCK[name] for name in conda_pins}


@pytest.mark.parametrize("name", ["laptop", "cuda"])
def test_every_version_of_a_lock_has_hashes(name):
    lines = (ROOT / f"envs/{name}.lock").read_text().splitlines()
    after = {
        normal(line.split("==")[0]): lines[i + 1] for i, line in enumerate(lines) if "==" in line
    }
    assert set(after) == set(pins(lines))
    assert "://" not in "".join(lines)  # no registry
    assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}( \\)?", line) for line in after.values())


def test_lock_contains_every_requested_package():
    asked = [
        re.match(r"[A-Za-z0-9_.-]+", line).group()
        for line in (ROOT / "envs/laptop.in").read_text().splitlines()
        if line and line[0] != "#"
    ]
    assert {normal(name) for name in asked} <= set(LOCK)


def rules() -> list:
    """(script, environment file) of every rule. Some scripts are started by another one, on all
    GPUs of the job.
    """
    script = re.compile(
        r'(?:python -m (?:synscale\.runtime\.launch (?:[\w.{}]+ )+)?scripts\.|command=")(\w+)'
    )
    environment = re.compile(r'"\.\./(envs/.*?)"')
    return [
        (script.search(text)[1], ROOT / environment.search(text)[1])
        for text in rule_names.rules().values()
    ]


@pytest.mark.parametrize(
    ("script", "environment"),
    rules(),
    ids=lambda value: value if isinstance(value, str) else value.stem,
)
def test_environment_of_a_rule_has_imported_packages(script, environment):
    rule_pins = pins(yaml.safe_load(environment.read_text())["dependencies"][-1]["pip"])
    needed_by = {
        normal(Requirement(text).name) for name in rule_pins for text in (requires(name) or [])
    }
    _, packages = imports(ROOT / f"scripts/{script}.py", ROOT)
    for package in packages - sys.stdlib_module_names:
        distributions = {normal(name) for name in DISTRIBUTIONS[package]}
        assert distributions & (rule_pins.keys() | needed_by), (
            f"{package} is in no package of {environment.name}"
        )


def test_script_has_the_name_of_its_rule():
    assert [script for script, _ in rules()] == list(rule_names.rules())

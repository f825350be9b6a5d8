"""The conda files and the lock name the same versions."""

import re

import pytest
import yaml

from tests.conftest import ROOT


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lines) -> dict[str, str]:
    found = {}
    for line in lines:
        line = line.split("#")[0].strip()
        if line:
            name, version = line.split("==")
            found[normal(name)] = version
    return found


LOCK = pins((ROOT / "envs/laptop.lock").read_text().splitlines())


@pytest.mark.parametrize("path", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda path: path.stem)
def test_conda_files_have_the_pins_of_the_lock(path):
    dependencies = yaml.safe_load(path.read_text())["dependencies"]
    own = pins(dependencies[-1]["pip"])
    assert own
    assert own == {name: LOCK[name] for name in own}


def test_the_lock_holds_all_that_is_asked_for():
    asked = [re.match(r"[A-Za-z0-9_.-]+", line).group() for line in (ROOT / "envs/laptop.in").read_text().splitlines() if line and line[0] != "#"]
    assert {normal(name) for name in asked} <= set(LOCK)


def test_every_rule_has_an_environment_that_exists():
    for path in (ROOT / "rules").glob("*.smk"):
        for name in re.findall(r'"(\.\./envs/.*?)"', path.read_text()):
            assert (path.parent / name).is_file()

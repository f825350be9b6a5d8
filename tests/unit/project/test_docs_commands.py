"""Every `snakemake` and `python -m scripts` command of README.md and docs/ parses."""

import re
import shlex
from importlib import import_module

import pytest
import snakemake.cli

from synscale.cluster import site
from synscale.workflow import rule_names
from tests.support.workflow import ROOT, Workflow

# Options of snakemake that pages name without a command.
OPTIONS = "--(set-resources|set-threads|default-resources|resources|apptainer-args)[ =]"


def documented_code() -> tuple[set[str], set[str]]:
    """Return the lines of code blocks, and code within sentences."""
    lines, inline = set(), set()
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = path.read_text(encoding="utf-8")
        blocks = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
        for language, block in blocks:  # `text` is output, or the synopsis of a command
            lines |= {line.strip() for line in block.splitlines() if language != "text"}
        code = re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", text)
        inline |= {" ".join(words.split()) for words in code}
    return lines, inline


def documented_commands() -> set[str]:
    """Return the commands with placeholders filled in, except those that are cut short by `...`."""
    lines, inline = documented_code()
    commands = {line for line in lines | inline if line.startswith("snakemake ")}
    commands |= {f"snakemake all {code}" for code in inline if re.match(OPTIONS, code)}
    placeholder = re.compile(r"\{(study|its name|source|shard|generator)\}")
    filled = {placeholder.sub("digits", command) for command in commands}
    return {command for command in filled if "..." not in command}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    workflow = Workflow.create(tmp_path / "workflow")
    (workflow.folder / "clone").symlink_to(".")
    monkeypatch.chdir(workflow.folder)
    monkeypatch.setenv(site.VARIABLE, "")
    return workflow.folder


def test_documented_commands_parse(folder):
    commands = documented_commands()
    assert len(commands) > 15
    for command in sorted(commands):
        words = shlex.split(command, comments=True)[1:]
        try:
            _, args = snakemake.cli.parse_args(words)
        except SystemExit:
            pytest.fail(f"Snakemake does not understand: {command}")
        named = {*args.set_threads, *args.set_resources}
        assert named <= set(rule_names.rules()), f"{command}: unknown rule"
        profile = " --profile slurm" in command or "profiles/slurm" in command
        assert (args.executor == "slurm") == profile, command


def test_documented_script_commands_parse(monkeypatch):
    monkeypatch.chdir(ROOT)
    lines, _ = documented_code()
    commands = {line for line in lines if line.startswith("python -m scripts.")}
    assert len(commands) > 5
    for command in sorted(commands):
        module, *arguments = shlex.split(command, comments=True)[2:]
        try:
            import_module(module).parser().parse_args(arguments)
        except SystemExit:
            pytest.fail(f"its parser does not accept: {command}")

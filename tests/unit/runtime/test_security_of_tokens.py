"""Tokens appear in no output and no file."""

import os
import re
import subprocess
import sys

from tests.support.workflow import ROOT, SNAKEMAKE


def test_tokens_are_read_from_the_environment_and_appear_nowhere(workflow):
    """A run with tokens set: neither what it prints nor any file that it leaves holds them."""
    tokens = {
        name: f"secret-{name.lower()}-1234567890"
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "AWS_SECRET_ACCESS_KEY")
    }
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH"
    } | tokens
    command = [
        SNAKEMAKE,
        "results/smoke/prompts/class_names.parquet",
        "tables/smoke/hyperparameters.csv",
        "--printshellcmds",
    ]
    done = subprocess.run(
        command, cwd=workflow.folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    provenance = workflow.folder / "provenance.html"
    command = [
        "scripts.write_provenance",
        "--study",
        "studies/smoke.yaml",
        "--environments",
        "envs/torch.yaml",
        "--snakemake",
        "9",
    ]
    files = [
        "--results",
        "tables/smoke/hyperparameters.csv",
        "--output",
        str(provenance),
        str(provenance.with_suffix(".json")),
    ]
    done2 = subprocess.run(
        [sys.executable, "-m", *command, *files],
        cwd=workflow.folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done2.returncode == 0, done2.stderr
    output = (done.stdout + done.stderr + done2.stdout + done2.stderr).encode()
    left = [
        output,
        *(
            path.read_bytes()
            for path in workflow.folder.rglob("*")
            if path.is_file() and ROOT not in path.resolve().parents
        ),
    ]
    assert len(left) > 5
    for value in tokens.values():
        assert not any(value.encode() in content for content in left)


def test_no_token_is_named_in_a_tracked_file():
    """Neither as an argument, which every user of a machine can see, nor in a file. What looks like
    one has the form that hubs give them.
    """
    shapes = re.compile(
        r"\b(hf_[A-Za-z0-9]{20,}|ghp_[A-Za-z0-9]{20,}|AKIA[A-Z0-9]{16})\b|--token\b"
    )
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    mine = "tests/unit/runtime/test_security_of_tokens.py"
    places = [
        name
        for name in tracked
        if name
        and name != mine
        and (ROOT / name).is_file()
        and shapes.search((ROOT / name).read_text(errors="ignore"))
    ]
    assert not places

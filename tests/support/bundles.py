"""The command `python -m scripts.bundle` in the folder of a workflow."""

import shutil
from pathlib import Path

from scripts import bundle
from synscale.data.shards import manifest_path
from synscale.workflow import excerpts
from tests.support.workflow import ROOT, Workflow, enter, in_fork

COMMITTED = sorted((ROOT / bundle.FOLDER).glob("*.tar.xz"))


def run_bundle(workflow: Workflow, *arguments: str | Path, fails: bool = False) -> str:
    """Run the command in a fork of this process and return what it printed."""
    status, printed = in_fork(_main, workflow.folder, [str(argument) for argument in arguments])
    assert (status != 0) == fails, printed
    return printed


def _copied(study, tar: str, path: Path) -> Path:
    """Copy a shard in place of an excerpt: those of a study that was not run are empty files."""
    shutil.copy(tar, path)
    shutil.copy(manifest_path(tar), manifest_path(path))
    return path


def _main(folder: Path, arguments: list[str]) -> None:
    enter(folder)
    tars = list(Path("results").rglob("*.tar"))
    if tars and not any(tar.stat().st_size for tar in tars):
        excerpts.write = _copied
    bundle.main(arguments)

"""The command `python -m scripts.bundle` in the folder of a workflow."""

from pathlib import Path

from scripts import bundle
from tests.support.workflow import ROOT, Workflow, enter, in_fork

COMMITTED = sorted((ROOT / bundle.FOLDER).glob("*.tar.xz"))


def run_bundle(workflow: Workflow, *arguments: str | Path, fails: bool = False) -> str:
    """Run the command in a fork of this process and return what it printed."""
    status, printed = in_fork(_main, workflow.folder, [str(argument) for argument in arguments])
    assert (status != 0) == fails, printed
    return printed


def _main(folder: Path, arguments: list[str]) -> None:
    enter(folder)
    bundle.main(arguments)

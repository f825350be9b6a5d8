"""Train the runs of a group, which share a job, and write their models into one folder.

Finished models and training states are kept in a folder that is no output of the rule, until all
runs are finished. An interrupted job therefore repeats no finished run.
"""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synscale.training import checkpoint
from synscale.training.distributed import ProcessGroup


@dataclass(frozen=True)
class GroupMember:
    """One training of a group.

    Parameters
    ----------
    name : str
        Stem of the model's file.
    identity : str
        Everything that the result depends on.
    train : callable
        Returns the model, given the folder of its saved state.
    save : callable
        Writes the model, given a path and the model.
    """

    name: str
    identity: str
    train: Callable[[Path], Any]
    save: Callable[[Path, Any], None]


def train_group(
    members: Iterable[GroupMember], output: Path, state: Path, processes: ProcessGroup
) -> None:
    """Train every run of a group, without those that an earlier attempt finished.

    Parameters
    ----------
    members : iterable of GroupMember
    output : Path
        Folder that gets a safetensors file for each run, once all are finished.
    state : Path
        Folder of finished models and training states, removed at the end.
    processes : ProcessGroup
        Rank 0 writes.

    Raises
    ------
    SystemExit
        If a training diverges.
    """
    part = output.with_name(f"{output.name}.part")
    if processes.is_main:
        shutil.rmtree(part, ignore_errors=True)  # of an interrupted attempt
        part.mkdir(parents=True)
    for member in members:
        finished = state / f"{checkpoint.digest(member.identity)}.safetensors"
        folder = state / member.name
        if not processes.broadcast(finished.exists()):
            model = member.train(folder)
            if processes.is_main:
                member.save(finished, model)
                checkpoint.discard(folder)
        if processes.is_main:
            shutil.copyfile(finished, part / f"{member.name}.safetensors")
    if processes.is_main:
        shutil.rmtree(output, ignore_errors=True)  # Snakemake creates output folders
        part.rename(output)
        checkpoint.discard(state)

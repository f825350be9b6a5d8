"""Train the runs of a group, which share a job: a folder of models, and a table of histories.

Finished models and training states are kept in a folder that is no output of the rule, until all
runs are finished. An interrupted job therefore repeats no finished run.
"""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synscale.training import checkpoint, history
from synscale.training.distributed import ProcessGroup


@dataclass(frozen=True)
class GroupMember:
    """One training of a group.

    Parameters
    ----------
    source : str
    name : str
        Name of the run, and stem of the model's file.
    identity : str
        Everything that the result depends on.
    train : callable
        Returns the model, given the folder of its saved state.
    save : callable
        Writes the model, given a path and the model.
    """

    source: str
    name: str
    identity: str
    train: Callable[[Path], Any]
    save: Callable[[Path, Any], None]


def train_group(
    members: Iterable[GroupMember],
    output: Path,
    histories: Path,
    state: Path,
    processes: ProcessGroup,
) -> None:
    """Train every run of a group, without those that an earlier attempt finished.

    Parameters
    ----------
    members : iterable of GroupMember
    output : Path
        Folder that gets a safetensors file for each run, once all are finished.
    histories : Path
        CSV of the histories of all runs (`history`).
    state : Path
        Folder of finished models, their histories and training states, removed at the end.
    processes : ProcessGroup
        Rank 0 writes.

    Raises
    ------
    SystemExit
        If a training diverges.
    """
    part = output.with_name(f"{output.name}.part")
    if processes.is_main:
        shutil.rmtree(part, ignore_errors=True)  # left by an interrupted attempt
        part.mkdir(parents=True)
    recorded = []
    for member in members:
        finished = state / f"{checkpoint.digest(member.identity)}.safetensors"
        rows = finished.with_suffix(".csv")
        folder = state / member.name
        if not processes.broadcast(finished.exists() and rows.exists()):
            model = member.train(folder)
            if processes.is_main:
                shutil.copyfile(folder / rows.name, rows)
                member.save(finished, model)
                checkpoint.discard(folder)
        recorded.append((member.source, member.name, rows))
        if processes.is_main:
            shutil.copyfile(finished, part / f"{member.name}.safetensors")
    if processes.is_main:
        history.write_job(histories, recorded)
        shutil.rmtree(output, ignore_errors=True)  # Snakemake creates output folders
        part.rename(output)
        checkpoint.discard(state)

"""Evaluate all models of a job on all evaluation sets: what classifiers and CLIP models share.

Each image is decoded once for all models. Models compute in float32 or, on a GPU, in bfloat16 if it
gives the same metrics (`precision`). An interrupted evaluation resumes with the set that it had not
finished.
"""

import argparse
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pyarrow.parquet as pq
import torch

from synscale.data import shards
from synscale.evaluation import precision
from synscale.evaluation.finished_sets import FinishedSets
from synscale.models import checksums
from synscale.runtime.atomic import atomic_write
from synscale.runtime.time_left import Stopwatch
from synscale.training import checkpoint, stream
from synscale.workflow.settings import as_json
from synscale.workflow.settings.evaluation import EvaluationSettings

BATCH = 512
OUT = -1  # label of an image that a question leaves out
FLOAT32 = torch.float32


class Evaluator(ABC):
    """Models that are evaluated together.

    Parameters
    ----------
    settings : EvaluationSettings
    folder : Path
        Folder of the models, named after the runs.
    device : torch.device
    workers : int
        Processes that read images.

    Raises
    ------
    SystemExit
        If a run has no model.
    """

    load: ClassVar[Callable]  # (path, device) -> model
    rows_by_run: ClassVar[bool]  # whether all rows of a run are together in the table
    transform: Callable[[torch.Tensor], torch.Tensor] | None = None

    def __init__(
        self, settings: EvaluationSettings, folder: Path, device: torch.device, workers: int = 0
    ):
        self.settings = settings
        self.folder = folder
        self.device = device
        self.workers = workers
        self.names = [run.name for run in settings.runs]
        self.models = []
        for name in self.names:
            path = folder / f"{name}.safetensors"
            if not path.exists():
                raise SystemExit(f"{path}: no such file; train run {name} first")
            self.models.append(self.load(path, device))

    @abstractmethod
    def ask(self, evaluation: str, tar: str) -> Any:
        """Return what the models are asked about a set.

        Parameters
        ----------
        evaluation : str
        tar : str
            Shard of the set.
        """

    @abstractmethod
    def key(self, asked: Any) -> str:
        """Return the text of what metrics depend on, in addition to models and images."""

    @abstractmethod
    def labels(self, asked: Any) -> torch.Tensor:
        """Return the labels that precisions are compared by, shape (N,), int64."""

    @abstractmethod
    def outputs(self, number: int, images: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Return what `logits` computes from, for a batch of images, in a precision.

        Parameters
        ----------
        number : int
            Place of the model.
        images : Tensor, shape (N, C, H, W), uint8
        dtype : torch.dtype
            Precision.
        """

    @abstractmethod
    def logits(self, number: int, outputs: torch.Tensor, asked: Any) -> torch.Tensor:
        """Return the logits of a model, shape (N, classes).

        Parameters
        ----------
        number : int
            Place of the model.
        outputs : Tensor
            Result of `outputs`.
        asked : object
            Result of `ask`.

        Returns
        -------
        Tensor, shape (N, classes), float32
        """

    @abstractmethod
    def measure(
        self, evaluation: str, tar: str, asked: Any, precisions: list[torch.dtype]
    ) -> list[list[dict]]:
        """Return the rows of metrics of each model on a set.

        Parameters
        ----------
        evaluation : str
        tar : str
            Shard of the set.
        asked : object
            Result of `ask`.
        precisions : list of torch.dtype
            Precision of each model.
        """

    def identity(self) -> str:
        """Return the text of everything that the rows of all sets depend on."""
        models = checksums.hashes(self.folder, [f"{name}.safetensors" for name in self.names])
        settings = as_json(replace(self.settings, sets=()))
        # A GPU and a CPU round differently.
        return repr((sorted(models.items()), settings, self.device.type))

    def choose_precisions(self, tar: str, asked: Any, fast: torch.dtype) -> list[torch.dtype]:
        """Choose the precision of each model on a sample of a set.

        Parameters
        ----------
        tar : str
            Tar of the set.
        asked : object
            As `ask` returns it.
        fast : torch.dtype
            Lower precision that the device has; for float32 no image is read.

        Returns
        -------
        list of torch.dtype
        """
        if fast == FLOAT32:
            return [FLOAT32] * len(self.models)
        labels = self.labels(asked)
        positions = (labels != OUT).nonzero()[:, 0]
        positions = positions[precision.sample_positions(len(positions))]
        images = stream.open_images([tar])
        batches = positions.split(stream.evaluation_batch_size(BATCH, self.device, images))
        parts: dict[tuple[int, torch.dtype], list[torch.Tensor]] = {}
        for batch in stream.iter_at(images, batches, self.transform, self.workers):
            for number in range(len(self.models)):
                for dtype in (FLOAT32, fast):
                    outputs = self.outputs(number, batch.images, dtype)
                    parts.setdefault((number, dtype), []).append(outputs)

        def choose(number: int) -> torch.dtype:
            return precision.choose(
                self.names[number],
                lambda dtype: self.logits(number, torch.cat(parts[number, dtype]), asked),
                labels[positions],
                fast,
            )

        return [choose(number) for number in range(len(self.models))]


def set_identity(tar: str) -> str:
    """Return a hash of the manifest of a set, which has a hash of each image."""
    manifest = shards.manifest_path(tar)
    return checksums.hashes(manifest.parent, [manifest.name])[manifest.name]


def _precisions(
    evaluator: Evaluator, tar: str, asked: Any, fast: torch.dtype, finished: FinishedSets, key: str
) -> list[torch.dtype]:
    """Return the precision of each model, which an earlier attempt may have chosen."""
    if fast == FLOAT32:
        return [FLOAT32] * len(evaluator.models)
    names = finished.load("precisions", key)
    if names is None:
        precisions = evaluator.choose_precisions(tar, asked, fast)
        names = [str(dtype).removeprefix("torch.") for dtype in precisions]
        finished.add("precisions", names, key)
    return [getattr(torch, name) for name in names]


def evaluate(
    evaluator: Evaluator,
    tars: list[str],
    state: str | Path | None = None,
    fast: torch.dtype | None = None,
) -> pd.DataFrame:
    """Evaluate the models of a job on all sets.

    Parameters
    ----------
    evaluator : Evaluator
    tars : list of str
        Tars of the sets, in the order of the settings.
    state : str, Path or None
        Folder of finished sets of earlier attempts; None keeps nothing.
    fast : torch.dtype or None
        Lower precision, used if it gives the same metrics; None is the one of the device.

    Returns
    -------
    DataFrame
        A row for each run, set or task, and class.
    """
    fast = precision.fast_dtype(evaluator.device) if fast is None else fast
    finished = FinishedSets(state, evaluator.identity())
    precisions: list[torch.dtype] = []
    table = []
    images = [pq.read_metadata(shards.manifest_path(tar)).num_rows for tar in tars]
    done, stopwatch = 0, Stopwatch(sum(images))
    for evaluation, tar, count in zip(evaluator.settings.sets, tars, images, strict=True):
        asked = evaluator.ask(evaluation, tar)
        key = json.dumps([set_identity(tar), str(fast), evaluator.key(asked)])
        precisions = precisions or _precisions(evaluator, tar, asked, fast, finished, key)
        key = f"{key} {precisions}"
        rows_of_models = finished.load(evaluation, key)
        if rows_of_models is None:
            rows_of_models = evaluator.measure(evaluation, tar, asked, precisions)
            finished.add(evaluation, rows_of_models, key)
            done += count
            print(f"{evaluation}: {count} images, {stopwatch.left(done)}", flush=True)
        else:
            stopwatch.total -= count
        for number, rows in enumerate(rows_of_models):
            table += [(number, row) for row in rows]
    if evaluator.rows_by_run:
        table.sort(key=lambda entry: entry[0])
    runs = evaluator.settings.runs
    frame = pd.DataFrame([runs[number].columns | row for number, row in table])
    return frame.astype({"class_id": "Int64", "guidance": "Float64"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that all commands of an evaluation have."""
    parser.add_argument(
        "--sets", required=True, nargs="+", help="tars of the evaluation sets, in order"
    )
    parser.add_argument(
        "--output", required=True, help="parquet, a row for each run, set or task, and class"
    )
    parser.add_argument("--state", help="folder of finished sets, kept until all are complete")
    parser.add_argument("--threads", type=int, default=1)


def write(table: pd.DataFrame, output: str, state: str | None) -> None:
    """Write the table of a complete evaluation and remove the state.

    Parameters
    ----------
    table : DataFrame
    output : str
        Parquet file.
    state : str or None
        Folder of finished sets.
    """
    with atomic_write(output) as (part,):
        table.to_parquet(part, index=False)
    if state:
        checkpoint.discard(state)

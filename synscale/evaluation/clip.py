"""Evaluate CLIP models zero-shot: on every evaluation set, and on tasks with other labels.

Logits are cosines times the learned scale, as in the paper's evaluation code. Sets with other
classes than the study's have texts for them. CLIP's published metric of some of these sets is the
mean of top-1 over classes (`mean_per_class` in data/downstream/sets.csv): the mean of their rows of
classes.

An image is resized to the models' size by Pillow's bicubic filter, as in the paper's evaluation
code, from its stored form. Texts are encoded in float32.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from synscale.data import shards
from synscale.evaluation.accumulator import MetricAccumulator
from synscale.evaluation.evaluator import BATCH, FLOAT32, Evaluator
from synscale.evaluation.zero_shot import OUT, Question, questions_about
from synscale.models import clip
from synscale.training import stream
from synscale.workflow.settings.evaluation import ClipEvaluationSettings


def _resized(models: list[clip.Clip]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the transform of a stored image to the size that all models see."""
    size = models[0].image_size
    if others := {model.image_size for model in models} - {size}:
        raise SystemExit(
            f"models of one group see {size} and {others.pop()} pixels a side; evaluate them in "
            "separate groups"
        )
    return partial(clip.resized, size=size)


def encode_set(
    models: list[clip.Clip], tar: str, workers: int = 0, precisions: list[torch.dtype] | None = None
) -> list[torch.Tensor]:
    """Compute the features of all images of a set. An image is decoded and resized once.

    Parameters
    ----------
    models : list of Clip
    tar : str
        Tar of the set.
    workers : int
        Processes that read images.
    precisions : list of torch.dtype or None
        Precision of each model; None is float32.

    Returns
    -------
    list of Tensor, shape (N, embed_dim), float32
        Features of each model.
    """
    images = stream.open_images([tar])
    device = models[0].model.logit_scale.device
    batch_size = stream.evaluation_batch_size(BATCH, device, images)
    precisions = precisions or [FLOAT32] * len(models)
    features: list[list[torch.Tensor]] = [[] for _ in models]
    for batch in stream.iter_sequential(images, batch_size, _resized(models), workers):
        for model, dtype, parts in zip(models, precisions, features, strict=True):
            parts.append(clip.image_features(model, batch.images, dtype))
    return [torch.cat(parts) for parts in features]


def question_rows(
    model: clip.Clip, features: torch.Tensor, question: Question, heads: torch.Tensor
) -> list[dict]:
    """Return the rows of a model for a question: over all images, and for each class.

    Parameters
    ----------
    model : Clip
    features : Tensor, shape (N, embed_dim)
        Features of the set's images.
    question : Question
    heads : Tensor, shape (classes, embed_dim)

    Returns
    -------
    list of dict
    """
    is_asked = question.labels != OUT
    features = features[is_asked]
    labels = question.labels[is_asked]
    classes = question.labels.unique() if question.masked else None
    accumulator = MetricAccumulator(question.evaluation, len(labels), classes)
    for part, part_labels in zip(features.split(BATCH), labels.split(BATCH), strict=True):
        accumulator.add(clip.logits(model, part, heads), part_labels)
    rows = accumulator.rows()
    for row in rows:
        if row["class_id"] is not None:
            row["class_id"] = question.ids[row["class_id"]]
        row["logit_scale"] = model.scale.item()
    return rows


class ClipEvaluator(Evaluator):
    """CLIP models, which are asked questions in texts.

    Parameters
    ----------
    settings : ClipEvaluationSettings
    folder : Path
        Folder of the models, named after the runs.
    classes : DataFrame
        Table of the study's classes.
    device : torch.device
    workers : int
        Processes that read images.
    """

    load = staticmethod(clip.load)
    rows_by_run = True
    settings: ClipEvaluationSettings

    def __init__(
        self,
        settings: ClipEvaluationSettings,
        folder: Path,
        classes: pd.DataFrame,
        device: torch.device,
        workers: int = 0,
    ):
        super().__init__(settings, folder, device, workers)
        self.classes = classes
        self.transform = _resized(self.models)
        self._heads: dict[tuple, torch.Tensor] = {}

    def heads(self, number: int, question: Question) -> torch.Tensor:
        """Return the heads of a model for a question; texts are encoded once.

        Parameters
        ----------
        number : int
            Place of the model.
        question : Question
            Texts of each answer.

        Returns
        -------
        Tensor, shape (answers, embed_dim), float32
        """
        key = (number, question.names, question.templates)
        if key not in self._heads:
            texts = list(question.names), list(question.templates)
            self._heads[key] = clip.heads(self.models[number], *texts)
        return self._heads[key]

    def ask(self, evaluation: str, tar: str) -> list[Question]:
        """Return the questions about the images of a set."""
        manifest = pd.read_parquet(shards.manifest_path(tar))
        return questions_about(self.settings, self.classes, evaluation, manifest)

    def key(self, asked: list[Question]) -> str:
        """Return the texts of the questions."""
        return repr([(question.names, question.templates, question.ids) for question in asked])

    def labels(self, asked: list[Question]) -> torch.Tensor:
        """Return the label of each image in the question about classes."""
        return asked[0].labels

    def outputs(self, number: int, images: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Return the features of a batch of images."""
        return clip.image_features(self.models[number], images, dtype)

    def logits(self, number: int, outputs: torch.Tensor, asked: list[Question]) -> torch.Tensor:
        """Return the logits of the question about classes."""
        return clip.logits(self.models[number], outputs, self.heads(number, asked[0]))

    def measure(
        self, evaluation: str, tar: str, asked: list[Question], precisions: list[torch.dtype]
    ) -> list[list[dict]]:
        """Return the rows of metrics of each model: for each question, and class."""
        rows_of_models = []
        features_of_models = encode_set(self.models, tar, self.workers, precisions)
        for number, features in enumerate(features_of_models):
            rows = []
            for question in asked:
                heads = self.heads(number, question)
                rows += question_rows(self.models[number], features, question, heads)
            rows_of_models.append(rows)
        return rows_of_models

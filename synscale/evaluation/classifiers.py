"""Evaluate classifiers: top-1 and cross-entropy, over all images and per class.

Protocol of the authors' code: the centre of each image, mean = std = 0.5. Images are stored as the
first half of the protocol leaves them (shorter side to 256 pixels, centre square).
"""

import torch

from synscale.evaluation.accumulator import MetricAccumulator
from synscale.evaluation.evaluator import BATCH, FLOAT32, Evaluator
from synscale.models import classifier
from synscale.training import stream


def evaluate_set(
    models: list[torch.nn.Module],
    evaluation: str,
    images: stream.Images,
    masked: bool,
    device: torch.device,
    workers: int = 0,
    precisions: list[torch.dtype] | None = None,
) -> list[list[dict]]:
    """Evaluate models on a set. One batch of images is in memory at a time.

    Parameters
    ----------
    models : list of Module
    evaluation : str
        Name of the set.
    images : Images
    masked : bool
        Whether classes that the set lacks are no answers (`accumulator`).
    device : torch.device
    workers : int
        Processes that read images.
    precisions : list of torch.dtype or None
        Precision of each model; None is float32.

    Returns
    -------
    list of list of dict
        Rows of each model.
    """
    classes = images.class_ids.unique().tolist() if masked else None
    accumulators = [MetricAccumulator(evaluation, len(images), classes) for _ in models]
    precisions = precisions or [FLOAT32] * len(models)
    batch_size = stream.evaluation_batch_size(BATCH, device, images)
    for batch in stream.iter_sequential(images, batch_size, workers=workers):
        pixels = batch.images.to(device)
        inputs = {}  # by size: prepared once for all models that read the same
        for model, dtype, accumulator in zip(models, precisions, accumulators, strict=True):
            size = model.patch_embed.img_size
            if size not in inputs:
                inputs[size] = classifier.inputs(model, pixels)
            outputs = classifier.outputs(model, inputs[size], dtype=dtype)
            accumulator.add(outputs.logits, batch.class_ids)
    return [accumulator.rows() for accumulator in accumulators]


class ClassifierEvaluator(Evaluator):
    """Classifiers of the study, which are asked for the class of each image."""

    load = staticmethod(classifier.load)
    rows_by_run = False

    def ask(self, evaluation: str, tar: str) -> stream.Images:
        """Return the images, with their classes."""
        return stream.open_images([tar])

    def key(self, asked: stream.Images) -> str:
        """Return nothing: metrics depend on models and images."""
        return ""

    def labels(self, asked: stream.Images) -> torch.Tensor:
        """Return the class of each image."""
        return asked.class_ids

    def outputs(self, number: int, images: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Return the logits of a batch of images."""
        model = self.models[number]
        inputs = classifier.inputs(model, images.to(self.device))
        return classifier.outputs(model, inputs, dtype=dtype).logits

    def logits(self, number: int, outputs: torch.Tensor, asked: stream.Images) -> torch.Tensor:
        """Return the outputs, which are logits."""
        return outputs

    def measure(
        self, evaluation: str, tar: str, asked: stream.Images, precisions: list[torch.dtype]
    ) -> list[list[dict]]:
        """Return the rows of metrics of each model on a set."""
        masked = self.settings.masked
        return evaluate_set(
            self.models, evaluation, asked, masked, self.device, self.workers, precisions
        )

"""The reference classifier of real images, and its outputs for a set of images.

It is a run of the study or a pretrained model of timm. The paper uses a classifier pre-trained on
real ImageNet, according to public notes on its full text; which one is not known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from synscale.evaluation.image_set_metrics import PairwiseDistance
from synscale.models import checksums, classifier
from synscale.training import stream

BATCH = 256


@dataclass(frozen=True)
class ReferenceOutputs:
    """Outputs for N images, sorted by class.

    Parameters
    ----------
    class_ids : ndarray, shape (N,), int64
        Class that each image was generated for.
    predicted : ndarray, shape (N,), int64
        Class that the reference predicts.
    features : Tensor, shape (N, width), float32
        Inputs of the last layer.
    lpips : float
        Distance within a class (`image_set_metrics.PairwiseDistance`), mean over classes.
    """

    class_ids: np.ndarray
    predicted: np.ndarray
    features: torch.Tensor
    lpips: float


@dataclass(frozen=True)
class Reference:
    """A classifier and the preparation of its inputs.

    Parameters
    ----------
    model : Module
        Model of timm, on its device, in evaluation mode.
    prepare : callable
        Stored images, shape (N, C, H, W), uint8, to inputs of the model.
    """

    model: torch.nn.Module
    prepare: Callable[[torch.Tensor], torch.Tensor]

    @torch.inference_mode()
    def evaluate(self, images: stream.Images, workers: int = 0) -> ReferenceOutputs:
        """Compute the outputs for a set of images. Each is decoded once.

        One batch is in memory at a time, and 4 x width bytes of features per image. Images are read
        class by class: a distance within a class needs sums as large as the features of an image in
        all blocks. There is memory for one class, not for a thousand.

        Parameters
        ----------
        images : Images
        workers : int
            Processes that read images.

        Returns
        -------
        ReferenceOutputs

        Raises
        ------
        ValueError
            If the model lacks the class of an image, or a class has one image.
        """
        device = next(self.model.parameters()).device
        class_ids, indices = torch.sort(images.class_ids, stable=True)
        self._check_classes(class_ids)
        counts = class_ids.unique_consecutive(return_counts=True)[1].tolist()
        size = stream.evaluation_batch_size(BATCH, device, images)
        groups = [group.split(size) for group in indices.split(counts)]
        parts = [part for group in groups for part in group]
        batches = stream.iter_at(images, parts, workers=workers)
        # Allocated once: small vectors of each batch would fragment the memory for images.
        predicted = torch.empty(len(images), dtype=torch.long)
        features = torch.empty(len(images), self.model.head_hidden_size)
        sizes = [len(part) for part in parts]
        results = zip(predicted.split(sizes), features.split(sizes), strict=True)
        distances = []
        for group in groups:
            distance = PairwiseDistance()
            for _ in group:
                inputs = self.prepare(next(batches).images.to(device))
                final, blocks = self.model.forward_intermediates(inputs)
                distance.add(blocks)
                batch_predicted, batch_features = next(results)
                batch_features[:] = self.model.forward_head(final, pre_logits=True)
                batch_predicted[:] = self.model.forward_head(final).argmax(1)
            distances.append(distance.mean())
        lpips = float(np.mean(distances))
        return ReferenceOutputs(class_ids.numpy(), predicted.numpy(), features, lpips)

    def _check_classes(self, class_ids: torch.Tensor) -> None:
        classes = self.model.num_classes
        if len(class_ids) and int(class_ids[-1]) >= classes:
            raise ValueError(
                f"an image of class {int(class_ids[-1])}, but the reference has {classes} classes; "
                "name one that is trained on the study's classes"
            )


def load_trained(path: str | Path, device: torch.device) -> Reference:
    """Return a classifier of the study; it sees the centre of an image, as in its evaluation.

    Parameters
    ----------
    path : str or Path
        File that `classifier.save` wrote.
    device : torch.device
    """
    model = classifier.load(path, device)
    return Reference(model, lambda images: classifier.inputs(model, images))


def load_pretrained(folder: str | Path, device: torch.device) -> Reference:
    """Return a model of timm from the hub, with its resizing, crop, mean and standard deviation.

    Parameters
    ----------
    folder : str or Path
        Folder with config.json and model.safetensors.
    device : torch.device

    Returns
    -------
    Reference

    Raises
    ------
    WeightsError
        If a file changed after it was downloaded.
    """
    checksums.check_fetched(folder, checksums.hashes(folder, ["config.json", "model.safetensors"]))
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).to(device).eval()
    config = timm.data.resolve_model_data_config(model)
    channels, side, _ = config["input_size"]
    prepare = preparation(
        channels=channels,
        resized=int(side / config["crop_pct"]),  # timm's rounding
        side=side,
        interpolation=config["interpolation"],
        mean=config["mean"],
        std=config["std"],
    )
    return Reference(model, prepare)


def preparation(
    *,
    channels: int,
    resized: int,
    side: int,
    interpolation: str,
    mean: Sequence[float],
    std: Sequence[float],
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function of stored images, shape (N, C, H, W), uint8, to inputs of a model.

    Parameters
    ----------
    channels : int
        Channels that the model reads; grey images are repeated.
    resized, side : int
        Pixels of a side after the resizing, which has antialiasing, and after the central crop.
    interpolation : str
        Method of the resizing, such as bicubic.
    mean, std : sequence of float
        Of each channel, for values from 0 to 1.
    """
    method = InterpolationMode(interpolation)

    def prepare(images: torch.Tensor) -> torch.Tensor:
        shift, scale = (
            torch.tensor(row, device=images.device).view(-1, 1, 1) for row in (mean, std)
        )
        images = images.expand(-1, channels, -1, -1)
        images = functional.resize(images, resized, method, antialias=True)
        return (functional.center_crop(images, side).float() / 255 - shift) / scale

    return prepare

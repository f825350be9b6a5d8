"""The reference: the classifier of real images that judges others, and all that it says of a set of
them in one pass.

A run of the study, or a released model of timm. The paper: a classifier pre-trained on real
ImageNet, as public notes on its full text say; which one is not known.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from synscale.evaluation.image_set_metrics import Spread
from synscale.models import checksums, classifier
from synscale.training import stream

BATCH = 256


@dataclass(frozen=True)
class Judged:
    """Of N images, those of a class together."""

    class_ids: np.ndarray  # (N,): what each was meant to show
    predicted: np.ndarray  # (N,): what the reference takes it for
    features: torch.Tensor  # (N, width) float32: what its last layer reads
    lpips: float  # distance within a class, mean over classes (`fidelity.Spread`)


@dataclass(frozen=True)
class Reference:
    model: torch.nn.Module  # of timm, on its device, not in training
    prepare: Callable[
        [torch.Tensor], torch.Tensor
    ]  # stored images, uint8 (N, C, H, W), to what the model reads

    @torch.inference_mode()
    def judge(self, images: stream.Images, workers: int = 0) -> Judged:
        """Decodes every image once and holds one batch of them, whatever their number; 4 x width
        bytes of features an image are kept.

        Images go through class by class: the distance within a class needs a sum as large as an
        image's features in all blocks, and there is room for that of one class, not of a thousand.
        Raises ValueError where an image is of a class that the model does not have, or is the only
        one of its class.
        """
        device, classes = next(self.model.parameters()).device, self.model.num_classes
        order = torch.sort(images.class_ids, stable=True)
        own = order.values.unique_consecutive(return_counts=True)
        if len(own[0]) and int(own[0][-1]) >= classes:
            raise ValueError(
                f"an image of class {int(own[0][-1])}, but the reference has {classes} classes: name one that is trained on the study's classes"
            )
        groups = [
            group.split(stream.evaluation_batch_size(BATCH, device))
            for group in order.indices.split(own[1].tolist())
        ]
        batches = stream.iter_at(
            images, [part for group in groups for part in group], workers=workers
        )
        # Taken at once: small vectors of every batch would lie between the large ones of its
        # images, in the way of those of the next.
        predicted, features, distances = (
            torch.empty(len(images), dtype=torch.long),
            torch.empty(len(images), self.model.head_hidden_size),
            [],
        )
        sizes = [len(part) for group in groups for part in group]
        places = zip(predicted.split(sizes), features.split(sizes), strict=True)
        for group in groups:
            spread = Spread()
            for _ in group:
                final, blocks = self.model.forward_intermediates(
                    self.prepare(next(batches).images.to(device))
                )
                spread.add(blocks)
                own_predicted, own_features = next(places)
                own_features[:] = self.model.forward_head(final, pre_logits=True)
                own_predicted[:] = self.model.forward_head(final).argmax(1)
            distances.append(spread.distance())
        return Judged(order.values.numpy(), predicted.numpy(), features, float(np.mean(distances)))


def trained(path: str | Path, device: torch.device) -> Reference:
    """A classifier of the study: it reads the centre of an image, as in its evaluation."""
    model = classifier.load(path, device)
    return Reference(model, lambda images: classifier.inputs(model, images))


def pretrained(folder: str | Path, device: torch.device) -> Reference:
    """A model of timm as the hub has it (config.json, model.safetensors), with its own resizing,
    crop, mean and standard deviation.

    Raises WeightsError where a file is not the one that was fetched.
    """
    checksums.as_fetched(folder, checksums.hashes(folder, ["config.json", "model.safetensors"]))
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).to(device).eval()
    own = timm.data.resolve_model_data_config(model)
    channels, side, _ = own["input_size"]
    mean, std = (torch.tensor(own[key], device=device).view(-1, 1, 1) for key in ("mean", "std"))
    whole = int(side / own["crop_pct"])  # timm's rounding

    def prepare(images: torch.Tensor) -> torch.Tensor:
        images = functional.resize(
            images.expand(-1, channels, -1, -1),
            whole,
            InterpolationMode(own["interpolation"]),
            antialias=True,
        )
        return (functional.center_crop(images, side).float() / 255 - mean) / std

    return Reference(model, prepare)

"""Feature spaces: the reference classifier, DINOv2 by timm, CLIP by open_clip or by the study.

Each resizes, crops and normalises images as its configuration says.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from synscale.evaluation import reference
from synscale.evaluation.scores import load_reference
from synscale.models import checksums
from synscale.models.download import OPEN_CLIP
from synscale.training import stream
from synscale.workflow.runs import Run

BATCH = 256


@dataclass(frozen=True)
class FeatureSpace:
    """A model whose features of images are compared.

    Parameters
    ----------
    encode : callable
        Images, shape (N, C, H, W), uint8, on the device, to features, shape (N, width).
    device : torch.device
    transform : callable, optional
        Applied to each stored image before.
    """

    encode: Callable[[torch.Tensor], torch.Tensor]
    device: torch.device
    transform: Callable[[torch.Tensor], torch.Tensor] | None = None

    @torch.inference_mode()
    def features(self, images: stream.Images, workers: int = 0) -> torch.Tensor:
        """Compute the features of a set of images, shape (N, width), float32, on the CPU.

        Parameters
        ----------
        images : Images
        workers : int
            Processes that read images.
        """
        size = stream.evaluation_batch_size(BATCH, self.device, images)
        batches = stream.iter_sequential(images, size, self.transform, workers)
        parts = [self.encode(batch.images.to(self.device)).float().cpu() for batch in batches]
        return torch.cat(parts)


def _classifier_space(model: reference.Reference, device: torch.device) -> FeatureSpace:
    def encode(images: torch.Tensor) -> torch.Tensor:
        final = model.model.forward_features(model.prepare(images))
        return model.model.forward_head(final, pre_logits=True)

    return FeatureSpace(encode, device)


def _released_clip(folder: str | Path, device: torch.device) -> FeatureSpace:
    import open_clip  # takes seconds: other feature spaces need not wait for it

    checksums.check_fetched(folder, checksums.hashes(folder, OPEN_CLIP))
    model = open_clip.create_model(f"local-dir:{folder}", device=device).eval()
    config = open_clip.get_model_preprocess_cfg(model)
    size = config["size"]
    side = size if isinstance(size, int) else size[0]
    # Stored images are square, so that all modes of resizing of open_clip are the same.
    prepare = reference.preparation(
        channels=3,
        resized=side,
        side=side,
        interpolation=config["interpolation"],
        mean=config["mean"],
        std=config["std"],
    )
    return FeatureSpace(lambda images: model.encode_image(prepare(images), normalize=True), device)


def _trained_clip(path: Path, device: torch.device) -> FeatureSpace:
    from synscale.models import clip

    model = clip.load(path, device)
    transform = partial(clip.resized, size=model.image_size)
    return FeatureSpace(partial(clip.image_features, model), device, transform)


def load(feature: str, run: Run | None, folder: str | Path, device: torch.device) -> FeatureSpace:
    """Return a feature space of a study.

    Features of CLIP are unit vectors, as CLIP compares them.

    Parameters
    ----------
    feature : {"reference", "dinov2", "clip"}
    run : Run or None
        Run of the study that trains the model; None if it is downloaded.
    folder : str or Path
        Folder of the run's group, or of the downloaded model.
    device : torch.device

    Raises
    ------
    WeightsError
        If a file changed after it was downloaded.
    """
    if feature != "clip":
        return _classifier_space(load_reference(run, folder, device), device)
    if run is None:
        return _released_clip(folder, device)
    return _trained_clip(Path(folder, f"{run.name}.safetensors"), device)

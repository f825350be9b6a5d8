"""How near a set of images is to real ones (FID, precision, recall), and how far its images are from each other (a distance as LPIPS).

The paper reports FID and LPIPS; its networks, reference set and number of images are not known. Ours: features of the
study's own reference classifier, so that a study needs no download and judges images of any size and kind. Numbers made with one
network do not compare with those of another, so not with published ones that Inception or VGG gave.
"""

import scripts.lib.torch_setup  # noqa: F401

import numpy as np
import torch
from timm.models.vision_transformer import VisionTransformer
from torch.nn.functional import normalize
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

NEIGHBOURS = 3  # k of Kynkaanniemi et al. (2019), whose ball around an image reaches to its k-th nearest neighbour in the same set


def against_real(features: torch.Tensor, real: torch.Tensor) -> dict[str, float]:
    """fid, precision and recall of features (N, width) against those of real images (M, width), by torch-fidelity.

    FID: squared Frechet distance of two Gaussians, in squared units of the features. With few images it is biased upwards, the more the
    fewer they are and the wider the features; equally for all sets of one size, which is why a study scores the same number of images
    of each source. Precision: share of the images inside a ball of real ones; recall: share of the real ones inside a ball of images.
    Raises ValueError where a set has too few images to have NEIGHBOURS of them.
    """
    if min(len(features), len(real)) <= NEIGHBOURS:
        raise ValueError(f"FID, precision and recall need more than {NEIGHBOURS} images in each set, not {len(features)} and {len(real)}")
    features, real = features.double(), real.double()  # the trace of a root of near-singular matrices wants the digits
    frechet = fid_statistics_to_metric(fid_features_to_statistics(features), fid_features_to_statistics(real), verbose=False)
    balls = prc_features_to_metric(features, real, prc_neighborhood=NEIGHBOURS, verbose=False)
    return {"fid": frechet[KEY_METRIC_FID], "precision": balls[KEY_METRIC_PRECISION], "recall": balls[KEY_METRIC_RECALL]}


@torch.inference_mode()
def pairwise_distance(model: VisionTransformer, images: torch.Tensor, batch_size: int = 512) -> float:
    """Mean perceptual distance over all pairs of normalised images (N, C, H, W): 0 for copies, at most 4.

    As LPIPS has it (Zhang et al. 2018): features of every block, of unit length at each position, squared difference, mean over
    positions. The blocks weigh equally: the weights that LPIPS learned are those of its own backbones. For unit vectors the mean over
    pairs of |a - b|^2 is twice their variance, so all pairs are counted and none has to be drawn.
    Raises ValueError where there is no pair.
    """
    if len(images) < 2:
        raise ValueError("a distance between images needs two of a class")
    device = next(model.parameters()).device
    parts = [model.forward_intermediates(part.to(device), intermediates_only=True, output_fmt="NLC") for part in images.split(batch_size)]
    blocks = (normalize(torch.cat(block).double(), dim=-1) for block in zip(*parts, strict=True))  # each (N, positions, width)
    return float(np.mean([2 * float(block.var(0).sum(-1).mean()) for block in blocks]))


def diversity_within(model: VisionTransformer, images: torch.Tensor, labels: np.ndarray) -> float:
    """Mean over classes of `pairwise_distance` of the images of a class. Higher is more diverse."""
    return float(np.mean([pairwise_distance(model, images[labels == c]) for c in np.unique(labels)]))

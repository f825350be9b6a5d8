"""How near a set of images is to real ones (FID, precision, recall), and how far its images are
from each other (a distance as LPIPS).

The paper reports FID and LPIPS; its networks, reference set and number of images are not known.
Ours: features of the study's own reference classifier, so that a study needs no download and judges
images of any size and kind. Numbers made with one network do not compare with those of another, so
not with published ones that Inception or VGG gave.
"""

import numpy as np
import torch
from torch.nn.functional import normalize
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

CPU = torch.device("cpu")
ROWS = (
    1000  # images that are looked at, or compared with as many others, at a time: distances of 8 MB
)
NEIGHBOURS = 3  # k of Kynkaanniemi et al. (2019), whose ball around an image reaches to its k-th nearest neighbour in the same set


def gaussian(features: torch.Tensor) -> dict[str, np.ndarray]:
    """Mean (width,) and covariance (width, width) of features (N, width), in double precision, as
    torch-fidelity takes them. Beside the features a few thousand rows are held, whatever N.
    """
    n = len(features)
    mean = sum(part.double().numpy().sum(0) for part in features.split(ROWS)) / n
    squares = sum(
        away.T @ away for away in (part.double().numpy() - mean for part in features.split(ROWS))
    )
    return {"mu": mean, "sigma": squares * (1 / (n - 1))}


def radii(features: torch.Tensor) -> torch.Tensor:
    """Of each image, features (N, width), the distance (N,) to its NEIGHBOURS-th nearest among the
    others.
    """
    # Taken at once: small vectors of every part would lie between the large ones of its distances,
    # in the way of those of the next.
    found = torch.empty(len(features), dtype=torch.float64, device=features.device)
    for own, into in zip(features.split(ROWS), found.split(ROWS), strict=True):
        nearest = torch.full(
            (len(own), NEIGHBOURS + 1), torch.inf, dtype=torch.float64, device=features.device
        )  # itself among them
        for others in features.split(ROWS):
            distances = torch.cdist(own.double(), others.double())
            near = distances.topk(min(NEIGHBOURS + 1, len(others)), largest=False).values
            nearest[:] = torch.cat([nearest, near], 1).topk(NEIGHBOURS + 1, largest=False).values
        into[:] = nearest.amax(1)
    return found


def overlap(
    features: torch.Tensor, real: torch.Tensor, reach: torch.Tensor, real_reach: torch.Tensor
) -> tuple[float, float]:
    """Precision and recall: share of the images, features (N, width), that lie in the ball around
    one of the real ones (M, width), of radii `real_reach` (M,), and share of the real ones in the
    ball around an image, of radii `reach` (N,).
    """
    near = torch.zeros(len(features), dtype=torch.bool, device=features.device)
    near_real = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    for own, hit, radius in zip(
        features.split(ROWS), near.split(ROWS), reach.split(ROWS), strict=True
    ):
        for others, real_hit, real_radius in zip(
            real.split(ROWS), near_real.split(ROWS), real_reach.split(ROWS), strict=True
        ):
            distances = torch.cdist(own.double(), others.double())
            hit |= (distances <= real_radius).any(1)
            real_hit |= (distances <= radius[:, None]).any(0)
    return near.float().mean().item(), near_real.float().mean().item()


class Real:
    """Real images, features (M, width), that sets are compared with: what does not depend on the
    set is computed once. device: for distances.

    With sets of N images, seconds grow with M^2 once and N^2 + N M a set; of distances those of
    ROWS to ROWS are held, whatever N and M.
    """

    def __init__(self, features: torch.Tensor, device: torch.device = CPU):
        _enough(features, "real ")
        self.gaussian, self.features = gaussian(features), features.to(device)
        self.radii = radii(self.features)

    def compared(self, features: torch.Tensor) -> dict[str, float]:
        """fid, precision and recall of a set of images, features (N, width).

        FID: squared Frechet distance of two Gaussians, in squared units of the features. With few
        images it is biased upwards, the more the fewer they are and the wider the features; equally
        for all sets of one size, which is why a study scores the same number of images of each
        source. Precision: share of the images inside a ball of real ones; recall: share of the real
        ones inside a ball of images. They are what torch-fidelity computes, which holds the
        distances of 1,000 images to all others. Raises ValueError where a set has too few images to
        have NEIGHBOURS of them.
        """
        _enough(features)
        frechet = fid_statistics_to_metric(gaussian(features), self.gaussian, verbose=False)[
            KEY_METRIC_FID
        ]
        features = features.to(self.features.device)
        precision, recall = overlap(features, self.features, radii(features), self.radii)
        return {"fid": frechet, "precision": precision, "recall": recall}


def _enough(features: torch.Tensor, of: str = "") -> None:
    if len(features) <= NEIGHBOURS:
        raise ValueError(
            f"FID, precision and recall need more than {NEIGHBOURS} {of}images in a set, not {len(features)}"
        )


class Spread:
    """Mean perceptual distance over all pairs of images that come batch by batch: 0 for copies, at
    most 4.

    As LPIPS has it (Zhang et al. 2018): features of every block, of unit length at each position,
    squared difference, mean over positions. The blocks weigh equally: the weights that LPIPS
    learned are those of its own backbones. The mean over pairs of |a - b|^2 is twice the variance,
    so all pairs are counted and none has to be drawn, and sums are all that is held of the images.
    """

    def __init__(self):
        self.images, self.sums, self.squares = (
            0,
            [],
            [],
        )  # of each block: sum of the unit vectors (width, positions), of their squares

    def add(self, blocks: list[torch.Tensor]) -> None:
        """blocks: features of the next images, (B, width, height, width of the map) each."""
        units = [normalize(block.double().flatten(2), dim=1) for block in blocks]
        sums, squares = (
            [unit.sum(0) for unit in units],
            [float(unit.square().sum()) for unit in units],
        )
        self.sums = [a + b for a, b in zip(self.sums, sums, strict=True)] if self.images else sums
        self.squares = (
            [a + b for a, b in zip(self.squares, squares, strict=True)] if self.images else squares
        )
        self.images += len(blocks[0])

    def distance(self) -> float:
        """Raises ValueError where there is no pair."""
        n = self.images
        if n < 2:
            raise ValueError("a distance between images needs two of a class")
        variances = [
            (square - float(own.square().sum()) / n) / (n - 1) / own.shape[1]
            for own, square in zip(self.sums, self.squares, strict=True)
        ]
        return 2 * sum(variances) / len(variances)

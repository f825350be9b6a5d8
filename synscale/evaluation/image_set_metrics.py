"""Compare sets of images: FID, precision and recall to real ones; a distance as LPIPS within a set.

The paper reports FID and LPIPS; its networks, reference set and number of images are not known. Our
choice: features of the study's reference classifier, which need no download and fit images of any
size and kind. Values from one network do not compare with those of another, such as published
values from Inception or VGG.
"""

import numpy as np
import torch
from torch.nn.functional import normalize
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

CPU = torch.device("cpu")
ROWS = 1000  # images that are compared with as many others at a time: distances of 8 MB
# k of Kynkaanniemi et al. (2019): the ball around an image reaches to its k-th nearest neighbour.
NEIGHBOURS = 3


def gaussian_statistics(features: torch.Tensor) -> dict[str, np.ndarray]:
    """Compute mean and covariance in double precision, as torch-fidelity reads them.

    Memory for a few thousand rows is needed in addition to the features, whatever N.

    Parameters
    ----------
    features : Tensor, shape (N, width)

    Returns
    -------
    dict of str to ndarray
        `mu`, shape (width,), and `sigma`, shape (width, width).
    """
    count = len(features)
    mean = sum(part.double().numpy().sum(0) for part in features.split(ROWS)) / count
    deviations = (part.double().numpy() - mean for part in features.split(ROWS))
    squares = sum(deviation.T @ deviation for deviation in deviations)
    return {"mu": mean, "sigma": squares * (1 / (count - 1))}


def frechet_distance(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> float:
    """Return the squared Frechet distance of two Gaussians, as `gaussian_statistics` has them.

    Parameters
    ----------
    first, second : dict of str to ndarray
        Mean, shape (D,), and covariance, shape (D, D), as `gaussian_statistics` returns them.
    """
    return fid_statistics_to_metric(first, second, verbose=False)[KEY_METRIC_FID]


def nearest_distances(features: torch.Tensor, others: torch.Tensor, place: int = 1) -> torch.Tensor:
    """Return the distance of each image to its `place`-th nearest among other images.

    Parameters
    ----------
    features : Tensor, shape (N, width)
    others : Tensor, shape (M, width)
    place : int
        1 is the nearest.

    Returns
    -------
    Tensor, shape (N,), float64
    """
    # Allocated once: small vectors of every part would fragment the memory for large distances.
    result = torch.empty(len(features), dtype=torch.float64, device=features.device)
    for part, part_result in zip(features.split(ROWS), result.split(ROWS), strict=True):
        nearest = torch.full(
            (len(part), place), torch.inf, dtype=torch.float64, device=features.device
        )
        for other_part in others.split(ROWS):
            distances = torch.cdist(part.double(), other_part.double())
            near = distances.topk(min(place, len(other_part)), largest=False).values
            nearest[:] = torch.cat([nearest, near], 1).topk(place, largest=False).values
        part_result[:] = nearest.amax(1)
    return result


def neighbour_distances(features: torch.Tensor, neighbours: int = NEIGHBOURS) -> torch.Tensor:
    """Return the distance of each image to its n-th nearest among the others of its set.

    Parameters
    ----------
    features : Tensor, shape (N, width)
    neighbours : int
        n.

    Returns
    -------
    Tensor, shape (N,), float64
    """
    return nearest_distances(features, features, neighbours + 1)  # the first is the image itself


def precision_and_recall(
    features: torch.Tensor, real: torch.Tensor, radii: torch.Tensor, real_radii: torch.Tensor
) -> tuple[float, float]:
    """Return the share of images in a ball around a real one, and of real ones in one around them.

    Parameters
    ----------
    features : Tensor, shape (N, width)
    real : Tensor, shape (M, width)
        Features of real images.
    radii : Tensor, shape (N,)
        Radius of the ball around each image.
    real_radii : Tensor, shape (M,)
        Radius of the ball around each real image.

    Returns
    -------
    tuple of float
    """
    is_near = torch.zeros(len(features), dtype=torch.bool, device=features.device)
    is_near_real = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    images = [tensor.split(ROWS) for tensor in (features, is_near, radii)]
    real_images = [tensor.split(ROWS) for tensor in (real, is_near_real, real_radii)]
    for part, hit, radius in zip(*images, strict=True):
        for others, real_hit, real_radius in zip(*real_images, strict=True):
            distances = torch.cdist(part.double(), others.double())
            hit |= (distances <= real_radius).any(1)
            real_hit |= (distances <= radius[:, None]).any(0)
    return is_near.float().mean().item(), is_near_real.float().mean().item()


class RealImages:
    """Real images that sets are compared with; what does not depend on a set is computed once.

    With sets of N images, time grows with M^2 once and N^2 + N M for each set. Memory for distances
    does not grow.

    Parameters
    ----------
    features : Tensor, shape (M, width)
    device : torch.device
        Device that computes distances.

    Raises
    ------
    ValueError
        If there are too few images.
    """

    def __init__(self, features: torch.Tensor, device: torch.device = CPU):
        _check_count(features, "real ")
        self.statistics = gaussian_statistics(features)
        self.features = features.to(device)
        self.radii = neighbour_distances(self.features)

    def compare(self, features: torch.Tensor) -> dict[str, float]:
        """Return fid, precision and recall of a set of images, as torch-fidelity computes them.

        FID is the squared Frechet distance of two Gaussians, in squared units of the features. It
        is biased upwards, the more the fewer the images and the wider the features, but equally for
        sets of one size: a study scores the same number of images of each source. Precision is the
        share of the images inside a ball of real ones, recall the share of real ones inside a ball
        of images.

        Parameters
        ----------
        features : Tensor, shape (N, width)

        Returns
        -------
        dict of str to float

        Raises
        ------
        ValueError
            If the set has too few images.
        """
        _check_count(features)
        fid = frechet_distance(gaussian_statistics(features), self.statistics)
        features = features.to(self.features.device)
        radii = neighbour_distances(features)
        precision, recall = precision_and_recall(features, self.features, radii, self.radii)
        return {"fid": fid, "precision": precision, "recall": recall}


def _check_count(features: torch.Tensor, kind: str = "") -> None:
    if len(features) <= NEIGHBOURS:
        needed = f"more than {NEIGHBOURS} {kind}images in a set, not {len(features)}"
        raise ValueError(f"FID, precision and recall need {needed}")


class PairwiseDistance:
    """Mean perceptual distance over all pairs of images that come in batches, from 0 to 4.

    As LPIPS (Zhang et al. 2018): features of every transformer block, of unit length at each
    position, squared difference, mean over positions. The blocks have equal weights: those that
    LPIPS learned belong to its backbones. The mean over pairs of |a - b|^2 is twice the variance.
    So all pairs count, none is drawn, and only sums are in memory.
    """

    def __init__(self):
        self.images = 0
        # For each block: sum of unit vectors, shape (width, positions), and sum of squares.
        self.sums: list[torch.Tensor] = []
        self.squares: list[float] = []

    def add(self, blocks: list[torch.Tensor]) -> None:
        """Add the next images.

        Parameters
        ----------
        blocks : list of Tensor, shape (B, width, height, width of the map)
            Features of each block.
        """
        units = [normalize(block.double().flatten(2), dim=1) for block in blocks]
        sums = [unit.sum(0) for unit in units]
        squares = [float(unit.square().sum()) for unit in units]
        if self.images:
            sums = [a + b for a, b in zip(self.sums, sums, strict=True)]
            squares = [a + b for a, b in zip(self.squares, squares, strict=True)]
        self.sums = sums
        self.squares = squares
        self.images += len(blocks[0])

    def mean(self) -> float:
        """Return the mean distance. Raises ValueError if there is no pair."""
        count = self.images
        if count < 2:
            raise ValueError(f"{count} images of a class (expected 2 or more for a distance)")
        variances = [
            (square - float(unit_sum.square().sum()) / count) / (count - 1) / unit_sum.shape[1]
            for unit_sum, square in zip(self.sums, self.squares, strict=True)
        ]
        return 2 * sum(variances) / len(variances)

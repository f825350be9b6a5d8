"""Disk that an image takes in its shard, from existing shards or estimated from photographs.

A plan uses these numbers for disk only. No digest of a job depends on them.
"""

import math
from collections.abc import Container
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from synscale.planning.work_units import Work
from synscale.study.models import Study

# An image in a shard is three tar members (png, cls, txt), each a header and content in 512-byte
# units, and a row of the manifest.
TAR_UNIT, MANIFEST_ROW = 512, 100
# Bytes of an encoded photograph as a share of its pixels' bytes, by quality. Measured on three
# photographs (china and flower of scikit-learn, grace_hopper of matplotlib), shorter side resized
# to 256 and cropped to a square, by the project's encoder: 29.9 kB in the mean as JPEG of quality
# 95. tests/unit/planning/test_image_sizes.py measures them again.
SHARES = {
    "png": {100: 0.556},
    "jpeg": {50: 0.043, 75: 0.063, 85: 0.085, 90: 0.106, 95: 0.152, 98: 0.216, 100: 0.297},
    "webp": {75: 0.045, 90: 0.088, 95: 0.120, 100: 0.166},
}
DEFAULT_QUALITY = {"png": 100, "jpeg": 75, "webp": 80}  # Pillow's defaults
LISTED = 8  # names that a plan shows
SHARDS = 8  # shards of a folder that are measured, the first of as many guidance scales


def encoded_bytes(pixels: int, image_format: str, quality: int | None) -> float:
    """Estimate the size of an encoded photograph.

    Parameters
    ----------
    pixels : int
        Bytes of its pixels: height x width x channels.
    image_format : {"png", "jpeg", "webp"}
    quality : int or None
        Quality of the encoder; None is its default.

    Returns
    -------
    float
        Bytes.
    """
    shares = SHARES[image_format]
    quality = quality or DEFAULT_QUALITY[image_format]
    return pixels * float(np.interp(quality, list(shares), list(shares.values())))


@cache
def image_bytes(study: Study, split: str | None = None) -> int:
    """Estimate the bytes of an image in its shard, with class, text and row of the manifest.

    Parameters
    ----------
    study : Study
    split : str or None
        Split of the study's data. Images to evaluate on are stored as PNG; all others, and
        generated ones (None), as the study's `storage` says.

    Returns
    -------
    int
    """
    is_evaluation = split in study.data.evaluation
    image_format = "png" if is_evaluation else study.storage.format
    quality = None if is_evaluation else study.storage.quality
    content = encoded_bytes(study.channels * study.image_size**2, image_format, quality)
    units = max(1, math.ceil(content / TAR_UNIT))
    return TAR_UNIT * (3 + units + 2) + MANIFEST_ROW


def measure(folder: Path) -> float | None:
    """Measure the first shards of a folder: `SHARDS` manifests and file sizes are read.

    Parameters
    ----------
    folder : Path
        Folder of shards: {shard}.tar and {shard}.parquet.

    Returns
    -------
    float or None
        Bytes of an image with its row of the manifest; None without a complete shard.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq  # here, because rules that plan no disk need not wait for it

    manifests = [path for path in folder.glob("*.parquet") if path.stem[-5:].isdigit()]
    manifests.sort(key=lambda path: (path.stem[-5:], path.stem))  # the first shard of each scale
    images = size = 0
    for manifest in manifests[:SHARDS]:
        tar = manifest.with_suffix(".tar")
        if not tar.is_file():
            continue
        try:
            images += pq.read_metadata(manifest).num_rows
        except pa.ArrowInvalid:
            continue  # a damaged manifest is reported by the job that reads it
        size += tar.stat().st_size + manifest.stat().st_size
    return size / images if images else None


class ImageSizes:
    """Disk of images for a plan: from a source's existing shards, else from its generator's.

    Parameters
    ----------
    root : Path
        Folder that holds `results`.
    skipped : set of str
        Studies whose existing shards are not measured, because the plan changes their format.
    """

    def __init__(self, root: Path = Path(), skipped: Container[str] = ()):
        self.root, self.skipped = root, skipped
        self.used: dict[str, float | None] = {}  # {study}/{source or split} -> measured bytes
        self._measure = cache(measure)
        self._measure_source = cache(self._find_size)

    def _find_size(self, name: str, study: Study, source: str) -> float | None:
        """Measure the shards of a source, else those of a source with the same generator."""
        generator = study.sources[source].generator
        rows = study.sources.items()
        others = [key for key, row in rows if getattr(row, "generator", None) == generator]
        images = self.root / "results" / name / "images"
        sizes = (self._measure(images / other) for other in [source, *others])
        return next((size for size in sizes if size), None)

    def scale(self, work: Work, study: Study, rule: str, wildcards: dict[str, str]) -> Work:
        """Return the work of a job with disk in proportion to existing shards.

        Parameters
        ----------
        work : Work
            From the study's numbers.
        study : Study
        rule : str
        wildcards : dict of str to str
            Wildcards of the job, with `study`.

        Returns
        -------
        Work
            The same work if the job writes no images or none exist.
        """
        name, split = wildcards["study"], None
        if name in self.skipped or rule not in ("generate", "prepare_data"):
            return work
        if rule == "generate":
            label = f"{name}/{wildcards['source']}"
            size = self._measure_source(name, study, wildcards["source"])
        else:
            split = wildcards["split"]
            label = f"{name}/{split}"
            size = self._measure(self.root / "results" / name / "data" / split)
        self.used[label] = size
        if size is None:
            return work
        factor = size / image_bytes(study, split)
        outputs, state = round(work.outputs * factor), round(work.state * factor)
        return replace(work, outputs=outputs, state=state)

    def describe(self) -> str:
        """Return a sentence for the plan: which sizes are measured and which are estimated."""
        measured = [label for label, size in self.used.items() if size]
        if not measured:
            return "Disk per image: estimated from the study's image size, format and quality."
        names = ", ".join(measured[:LISTED]) + ("" if len(measured) <= LISTED else ", ...")
        return f"Disk per image: measured in existing shards of {names}; estimated for the rest."

"""Disk that an image takes in its shard: measured from existing shards, else estimated from
photographs.

A plan uses these numbers for disk only. No digest of a job depends on them.
"""

import math
from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from synscale.study.models import Study

# An image in a shard is three tar members (png, cls, txt), each a header and content in 512-byte
# units, and a row of the manifest.
TAR_UNIT, MANIFEST_ROW = 512, 100
# Bytes of an encoded photograph as a share of its pixels' bytes, by quality. Measured on three
# photographs (china and flower of scikit-learn, grace_hopper of matplotlib), shorter side resized
# to 256 and cropped to a square, by the project's encoder: 29.9 kB in the mean as JPEG of quality
# 95. tests/unit/test_image_sizes.py measures them again.
SHARES = {
    "png": {100: 0.556},
    "jpeg": {50: 0.043, 75: 0.063, 85: 0.085, 90: 0.106, 95: 0.152, 98: 0.216, 100: 0.297},
    "webp": {75: 0.045, 90: 0.088, 95: 0.120, 100: 0.166},
}
DEFAULT_QUALITY = {"png": 100, "jpeg": 75, "webp": 80}  # of Pillow
LISTED = 8  # names that a plan shows
SHARDS = 8  # shards that are measured of a folder: the first of as many guidance scales


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


def _listed(names: list[str]) -> str:
    rest = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {rest} more" if rest > 0 else "")


@dataclass(frozen=True)
class Measured:
    """Bytes of an image with its row of the manifest, in existing shards of a folder."""

    folder: Path
    shards: int
    images: int
    bytes_per_image: float


def measure(folder: Path) -> Measured | None:
    """Measure the first shards of a folder: `SHARDS` manifests and file sizes are read.

    Parameters
    ----------
    folder : Path
        Folder of shards: {shard}.tar and {shard}.parquet.

    Returns
    -------
    Measured or None
        None if the folder has no complete shard with an image.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq  # here, because rules that plan no disk need not wait for it

    manifests = [path for path in folder.glob("*.parquet") if path.stem[-5:].isdigit()]
    manifests.sort(key=lambda path: (path.stem[-5:], path.stem))  # the first shard of each scale
    images = size = shards = 0
    for manifest in manifests[:SHARDS]:
        tar = manifest.with_suffix(".tar")
        if tar.is_file():
            try:
                images += pq.read_metadata(manifest).num_rows
            except pa.ArrowInvalid:
                continue  # a damaged manifest is reported by the job that reads it
            size += tar.stat().st_size + manifest.stat().st_size
            shards += 1
    return Measured(folder, shards, images, size / images) if images else None


class ImageSizes:
    """Bytes of images for a plan: of a source's existing shards, else of its generator's.

    Parameters
    ----------
    root : Path
        Folder that holds `results`.
    skipped : set of str
        Studies whose existing shards are not measured, because the plan changes their format.
    """

    def __init__(self, root: Path = Path(), skipped: Container[str] = ()):
        self.root, self.skipped = root, skipped
        self.used: dict[str, Measured | None] = {}  # name of the source or split -> what is used
        self._known: dict[Path, Measured | None] = {}

    def _measured(self, folder: Path) -> Measured | None:
        if folder not in self._known:
            self._known[folder] = measure(folder)
        return self._known[folder]

    def _of_source(self, name: str, study: Study, source: str) -> Measured | None:
        images = self.root / "results" / name / "images"
        generator = study.sources[source].generator
        others = [
            other
            for other, row in study.sources.items()
            if row.kind == "synthetic" and row.generator == generator and other != source
        ]
        found = (self._measured(images / other) for other in [source, *others])
        return next((measured for measured in found if measured), None)

    def scaled(self, work, study: Study, rule: str, wildcards: dict[str, str]):
        """Return the work of a job with the disk that existing shards let expect.

        Parameters
        ----------
        work : Work
            From the study's numbers.
        study : Study
        rule : str
        wildcards : dict of str
            Wildcards of the job, with `study`.

        Returns
        -------
        Work
            The same work if the job writes no images or none exist.
        """
        name = wildcards["study"]
        if name in self.skipped:
            return work
        if rule == "generate":
            label, split = f"{name}/{wildcards['source']}", None
            measured = self._of_source(name, study, wildcards["source"])
        elif rule == "prepare_data":
            label, split = f"{name}/{wildcards['split']}", wildcards["split"]
            measured = self._measured(self.root / "results" / name / "data" / split)
        else:
            return work
        self.used[label] = measured
        if measured is None:
            return work
        factor = measured.bytes_per_image / image_bytes(study, split)
        return replace(work, kept=round(work.kept * factor), state=round(work.state * factor))

    def described(self) -> str:
        """Return a sentence for the plan: which sizes are measured and which are estimated."""
        measured = [
            f"{label} {found.bytes_per_image / 1000:.3g} kB ({found.images} images of {found.folder})"
            for label, found in sorted(self.used.items())
            if found
        ]
        estimated = sorted(label for label, found in self.used.items() if not found)
        parts = []
        if measured:
            parts.append(f"measured from existing shards: {_listed(measured)}.")
        if estimated:
            origin = "estimated from the study's image size, format and quality"
            parts.append(f"{origin}: {_listed(estimated)}.")
        return " ".join(f"Disk of an image, {part}" for part in parts)

"""Disk of images in a plan: estimates against photographs, and what existing shards say."""

import numpy as np
import pytest

from synscale.data import shards
from synscale.planning import hardware, image_sizes, summary
from synscale.planning.cost_model import work
from synscale.planning.image_sizes import ImageSizes, image_bytes
from synscale.planning.summary import Job
from synscale.study.models.generators import Storage
from tests.support import photographs
from tests.support.planning import IMAGENET
from tests.support.workflow import ROOT

RATES = hardware.load("a100", ROOT / "profiles/hardware")
CASES = [("png", None), ("jpeg", 75), ("jpeg", 95), ("webp", 75), ("webp", 95)]


@pytest.fixture(scope="module")
def squares():
    return photographs.squares()


@pytest.mark.parametrize(("image_format", "quality"), CASES)
def test_estimated_bytes_are_those_of_photographs(squares, image_format, quality):
    storage = Storage(format=image_format, quality=quality)
    size = np.mean([len(shards.encode(pixels, storage)) for pixels in squares])
    estimate = image_sizes.encoded_bytes(3 * 256**2, image_format, quality)
    assert estimate == pytest.approx(size, rel=0.02)


def test_shard_of_photographs_is_as_large_as_planned(squares, tmp_path):
    storage = Storage(format="jpeg", quality=95)
    rows = [{"image": i, "class_id": 0, "prompt": "a photo of a place"} for i in range(30)]
    samples = ((f"{i:09d}", squares[i % 3], row) for i, row in enumerate(rows))
    shards.write(tmp_path / "00000.tar", samples, storage)
    size = (tmp_path / "00000.tar").stat().st_size / 30
    assert image_bytes(IMAGENET) == pytest.approx(size, rel=0.02)
    assert 30_000 < image_bytes(IMAGENET) < 36_000


def test_evaluation_images_are_planned_as_png():
    training = image_bytes(IMAGENET, "imagenet_train")
    assert image_bytes(IMAGENET, "imagenet") > 3 * training
    shard = {"split": "imagenet", "shard": "00000"}
    stored = work(IMAGENET, "prepare_data", shard).outputs
    assert stored == 50_000 * image_bytes(IMAGENET, "imagenet")


def test_higher_quality_takes_more_disk():
    sizes = [
        image_bytes(IMAGENET.model_copy(update={"storage": Storage(format="jpeg", quality=q)}))
        for q in (30, 60, 80, 95, 99)
    ]
    assert sizes == sorted(sizes)


def job(source: str) -> Job:
    return Job("a", "generate", {"study": "imagenet", "source": source, "shard": "g2-00000"})


def planned(folder, source: str, sizes: ImageSizes | None = None) -> tuple[summary.Cost, str]:
    sizes = sizes or ImageSizes(folder)
    [cost] = summary.costs([job(source)], {"imagenet": IMAGENET}, RATES, sizes).values()
    return cost, sizes.describe()


@pytest.fixture
def with_shard(tmp_path):
    """A folder with a shard of noise, which JPEG hardly compresses."""
    random = np.random.default_rng(0)
    folder = tmp_path / "results/imagenet/images/sd_class_names"
    samples = [
        (f"{i}", random.integers(0, 256, (256, 256, 3), np.uint8), {"class_id": 0, "prompt": ""})
        for i in range(3)
    ]
    shards.write(folder / "g2-00000.tar", samples, Storage(format="jpeg", quality=95))
    return tmp_path


def test_scale_measures_existing_shards(with_shard):
    plain = work(IMAGENET, "generate", {"source": "sd_class_names", "shard": "g2-00000"})
    cost, text = planned(with_shard, "sd_class_names")
    folder = with_shard / "results/imagenet/images/sd_class_names"
    bytes_per_image = sum(path.stat().st_size for path in folder.iterdir()) / 3
    assert bytes_per_image > 2 * image_bytes(IMAGENET)
    assert cost.work.outputs == pytest.approx(25_600 * bytes_per_image, rel=1e-6)
    assert cost.work.state == cost.work.outputs
    assert cost.work.units == plain.units
    assert text.startswith(
        "Disk per image: measured in existing shards of imagenet/sd_class_names;"
    )


def test_scale_uses_shards_of_the_same_generator(with_shard):
    cost, text = planned(with_shard, "sd_description")
    assert cost.work.outputs == planned(with_shard, "sd_class_names")[0].work.outputs
    assert "shards of imagenet/sd_description;" in text
    other, text = planned(with_shard, "if_class_names")
    assert other.work == work(
        IMAGENET, "generate", {"source": "if_class_names", "shard": "g2-00000"}
    )
    assert "estimated from the study's image size" in text


def test_scale_skips_studies_with_another_format(with_shard):
    sizes = ImageSizes(with_shard, skipped={"imagenet"})
    cost, text = planned(with_shard, "sd_class_names", sizes)
    plain = work(IMAGENET, "generate", {"source": "sd_class_names", "shard": "g2-00000"})
    assert cost.work == plain
    assert "estimated from the study" in text

"""Images of a data set as the study stores them."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from scripts import prepare_data
from scripts.lib import datasets, shards
from scripts.lib.datasets.pictures import BROKEN, Stored
from tests.support import fake_datasets as fake

TRAINING = Stored(32, 3, {"format": "png", "quality": None})
EVALUATION = Stored(32, 3, {"format": "png", "quality": None}, evaluation=True)


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image).astype(int)


def saved(image: Image.Image, format: str = "png", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA", "LA", "1"])
def test_every_mode_becomes_rgb_or_grey(mode):
    data = saved(fake.picture(1, (48, 32), mode), "tiff")
    for channels, shape in ((3, (32, 32, 3)), (1, (32, 32))):
        assert pixels(Stored(32, channels, {"format": "png"}).of(data)).shape == shape
    if mode in ("L", "CMYK", "RGBA"):
        same = pixels(TRAINING.of(saved(fake.picture(1, (48, 32), "L" if mode == "L" else "RGB"))))
        assert np.abs(pixels(TRAINING.of(data)) - same).max() <= 2


def test_cmyk_jpeg_has_its_colours():
    """As ImageNet has a few: with the picture's colours, not their negative."""
    red = Image.new("RGB", (40, 40), (200, 30, 30)).convert("CMYK")
    assert np.abs(pixels(TRAINING.of(saved(red, "jpeg"))) - [200, 30, 30]).max() <= 4


def test_sixteen_bits_are_scaled_not_cut_off():
    ramp = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    found = pixels(TRAINING.of(saved(Image.fromarray(ramp))))[..., 0]
    assert (found == ramp >> 8).all()


def test_transparent_is_white_and_orientation_is_followed_but_not_in_evaluation():
    clear = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    assert (pixels(TRAINING.of(saved(clear))) == 255).all()
    assert (pixels(EVALUATION.of(saved(clear))) == 0).all()
    left_dark = Image.fromarray(np.repeat(np.array([[0] * 16 + [255] * 16]), 32, axis=0).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    data = saved(left_dark, "png", exif=exif)
    assert (pixels(TRAINING.of(data))[:16] == 0).all() and (pixels(TRAINING.of(data))[16:] == 255).all()
    assert (pixels(EVALUATION.of(data))[:, :16] == 0).all()


@given(st.integers(20, 90), st.integers(20, 90))
def test_the_centre_of_what_is_stored_is_the_authors_protocol(width, height):
    """Resize(32) and CenterCrop(28) of the whole image are CenterCrop(28) of what is stored, pixel by pixel."""
    import scripts.lib.torch_setup  # noqa: F401

    from torchvision.transforms import CenterCrop, Compose, Resize

    image = fake.picture(width, (width, height))
    theirs = np.asarray(Compose([Resize(32), CenterCrop(28)])(image))
    stored = Image.fromarray(pixels(EVALUATION.of(saved(image))).astype(np.uint8))
    assert stored.size == (32, 32)
    assert (np.asarray(CenterCrop(28)(stored)) == theirs).all()


def test_an_image_that_is_as_it_would_be_stored_keeps_its_bytes():
    jpeg = Stored(32, 3, {"format": "jpeg", "quality": 90})
    data = fake.image_bytes(0, (32, 32))
    assert jpeg.of(data) == data
    for other in (fake.image_bytes(0, (33, 32)), fake.image_bytes(0, (32, 32), "L"), fake.image_bytes(0, (32, 32), format="png")):
        assert jpeg.of(other) != other


@pytest.mark.parametrize("damage", [lambda data: data[:-200], lambda data: b"\xff\xd8" + b"?" * 400, lambda data: b"", lambda data: b"<html>404</html>"])
def test_what_cannot_be_read_raises(damage):
    for stored in (TRAINING, Stored(32, 3, {"format": "jpeg", "quality": 90})):
        with pytest.raises(BROKEN):
            stored.of(damage(fake.image_bytes(0, (32, 32))))


@pytest.fixture
def settings():
    return {"range": [0, 6], "stored": {"size": 32, "channels": 3, "storage": {"format": "jpeg", "quality": 90}, "evaluation": False}}


@pytest.fixture
def data(tmp_path, monkeypatch):
    table = fake.class_table(tmp_path / "classes.csv", ["n00000001", "n00000002"])
    fake.class_folders(tmp_path / "data", {"n00000001": 3, "n00000002": 3})
    monkeypatch.setenv("DATA_THINGS", str(tmp_path / "data"))
    return datasets.of_split("things", str(table), {"name": "things", "pairs": False, "training": True, "skip": None})


def test_a_block_holds_its_rows_whatever_the_number_of_threads(data, tmp_path, settings):
    datasets.write_index(data, tmp_path / "index.parquet")
    for threads in (1, 3):
        shards.write(tmp_path / f"{threads}.tar", prepare_data.file_samples(data, tmp_path / "index.parquet", settings, threads), settings["stored"]["storage"])
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "3.tar").read_bytes()
    images, manifest = shards.read(tmp_path / "1.tar")
    assert images.shape == (6, 3, 32, 32)
    assert manifest["class_id"].tolist() == [0, 1] * 3
    assert manifest["class_name"].tolist() == ["thing 0", "thing 1"] * 3
    assert set(manifest["prompt"]) == set(manifest["caption"]) == {""}
    assert manifest["origin"].tolist() == pd.read_parquet(tmp_path / "index.parquet")["origin"].tolist()


def test_all_broken_images_of_a_block_are_named_and_nothing_is_left(data, tmp_path, settings):
    datasets.write_index(data, tmp_path / "index.parquet")
    for name, cut in (("n00000001/n00000001_1.JPEG", 300), ("n00000002/n00000002_0.JPEG", 0)):
        path = data.place / name
        path.write_bytes(path.read_bytes()[:cut])
    samples = prepare_data.file_samples(data, tmp_path / "index.parquet", settings, 2)
    with pytest.raises(datasets.DataSetError, match=r"2 images cannot be read: .*data\.training\.things\.skip") as error:
        shards.write(tmp_path / "block.tar", samples, settings["stored"]["storage"])
    assert "\nn00000001/n00000001_1.JPEG: " in str(error.value) and "\nn00000002/n00000002_0.JPEG: " in str(error.value)
    assert not list(tmp_path.glob("*block*"))


def test_an_image_that_is_gone_is_told(data, tmp_path, settings):
    datasets.write_index(data, tmp_path / "index.parquet")
    (data.place / "n00000001/n00000001_1.JPEG").unlink()
    with pytest.raises(datasets.DataSetError, match=r"(?s)1 images cannot be read.*n00000001_1\.JPEG: .*No such file"):
        list(prepare_data.file_samples(data, tmp_path / "index.parquet", settings, 1))

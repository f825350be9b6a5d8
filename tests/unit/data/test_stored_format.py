"""Images of a data set as the study stores them."""

import io
import struct

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from synscale.data import datasets, prepare, shards
from synscale.data.datasets import stored_format
from synscale.data.datasets.stored_format import BROKEN, centre, store
from synscale.workflow.settings.data import DataSettings, IndexSettings, StoredImages
from tests.support import fake_datasets as fake

RGB = StoredImages(32, 3)
JPEG = StoredImages(32, 3, "jpeg", 90)


def training(data: bytes) -> np.ndarray:
    """Pixels of an image to train on, as it is stored."""
    return pixels(store(data, RGB))


def evaluation(data: bytes) -> np.ndarray:
    """Pixels of an image to evaluate on, as it is stored."""
    return pixels(store(data, RGB, evaluation=True))


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
        assert pixels(store(data, StoredImages(32, channels))).shape == shape
    if mode in ("L", "CMYK", "RGBA"):
        same = training(saved(fake.picture(1, (48, 32), "L" if mode == "L" else "RGB")))
        assert np.abs(training(data) - same).max() <= 2


def test_cmyk_jpeg_has_its_colours():
    """As ImageNet has a few: with the picture's colours, not their negative."""
    red = Image.new("RGB", (40, 40), (200, 30, 30)).convert("CMYK")
    assert np.abs(training(saved(red, "jpeg")) - [200, 30, 30]).max() <= 4


def test_sixteen_bits_are_scaled_not_cut_off():
    ramp = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    stored = training(saved(Image.fromarray(ramp)))[..., 0]
    assert (stored == ramp >> 8).all()


def test_evaluation_keeps_transparency_and_orientation():
    clear = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    assert (training(saved(clear)) == 255).all()
    assert (evaluation(saved(clear)) == 0).all()
    left_dark = Image.fromarray(
        np.repeat(np.array([[0] * 16 + [255] * 16]), 32, axis=0).astype(np.uint8)
    )
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    data = saved(left_dark, "png", exif=exif)
    assert (training(data)[:16] == 0).all() and (training(data)[16:] == 255).all()
    assert (evaluation(data)[:, :16] == 0).all()


@st.composite
def exif_blocks(draw) -> bytes:
    """EXIF blocks, most of them damaged: counts, types and offsets of tags are random."""
    head, order = draw(st.sampled_from([(b"II*\0\x08\0\0\0", "<"), (b"MM\0*\0\0\0\x08", ">")]))
    tags = st.sampled_from([0x0112, 0x010F, 0x011A, 0x0128, 0x8769, 0x8825]) | st.integers(0, 65535)
    orientation = st.integers(0, 9).map(lambda value: struct.pack(f"{order}HH", value, 0))
    values = orientation | st.binary(min_size=4, max_size=4)
    counts = st.integers(0, 3) | st.integers(0, 2**32 - 1)
    entries = draw(st.lists(st.tuples(tags, st.integers(0, 14), counts, values), max_size=5))
    count = draw(st.just(len(entries)) | st.integers(0, 65535))
    directory = b"".join(struct.pack(f"{order}HHL4s", *entry) for entry in entries)
    block = head + struct.pack(f"{order}H", count) + directory + draw(st.binary(max_size=20))
    return draw(st.just(block) | st.binary(max_size=40))


def exif_block(*tags: tuple[int, int, bytes]) -> bytes:
    """An EXIF block of tags with one value each: number, type and the four bytes of the value."""
    entries = b"".join(
        struct.pack("<HHL4s", number, type, 1, value) for number, type, value in tags
    )
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)


DPI_BREAKS_PILLOW = exif_block(
    (0x011A, 1, b"\x0f\0\0\0"), (0x0128, 3, b"\x02\0\0\0")
)  # Image.open raises


@given(exif_blocks(), st.sampled_from(["jpeg", "png", "webp"]), st.booleans())
@example(DPI_BREAKS_PILLOW, "jpeg", True)
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about the damaged block
def test_damaged_exif_leaves_the_image_readable(block, format, as_it_is):
    """The pixels are those of the image without EXIF, in one of the eight orientations."""
    image = fake.picture(1, (32, 32))
    options = {"lossless": True} if format == "webp" else {}
    stored = StoredImages(32, 3, format if as_it_is else "png")
    plain = pixels(store(saved(image, format, **options), stored))
    data = store(saved(image, format, exif=b"Exif\0\0" + block, **options), stored)
    turned = [np.rot90(side, turns) for side in (plain, plain[:, ::-1]) for turns in range(4)]
    # A turned JPEG or WebP is compressed again.
    tolerance = 40 if format != "png" and as_it_is else 0
    assert any(np.abs(pixels(data) - other).max() <= tolerance for other in turned)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_read_next_to_damaged_tags(orientation):
    image = fake.picture(1, (32, 32))
    tag = (0x0112, 3, bytes([orientation, 0, 0, 0]))
    damaged = [(0x010F, 1, b"\xff" * 4), (0x0131, 7, b"\xff" * 4), (0x8769, 4, b"\xff" * 4)]
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(saved(image, exif=exif_block(tag)))))
    block = exif_block(damaged[0], tag, *damaged[1:])
    assert (training(saved(image, exif=block)) == np.asarray(upright)).all()


@given(st.integers(20, 90), st.integers(20, 90))
def test_centre_of_stored_image_is_the_authors_protocol(width, height):
    """Resize(32) and CenterCrop(28) of the image equal CenterCrop(28) of the stored one, pixel
    by pixel.
    """

    from torchvision.transforms import CenterCrop, Compose, Resize

    image = fake.picture(width, (width, height))
    theirs = np.asarray(Compose([Resize(32), CenterCrop(28)])(image))
    stored = Image.fromarray(evaluation(saved(image)).astype(np.uint8))
    assert stored.size == (32, 32)
    assert (np.asarray(CenterCrop(28)(stored)) == theirs).all()


FILTERS = [Image.Resampling.BICUBIC, Image.Resampling.BILINEAR]


def resized_then_cropped(image: Image.Image, size: int, filter: Image.Resampling) -> np.ndarray:
    width, height = image.size
    short = min(width, height)
    resized = image.resize((int(size * width / short), int(size * height / short)), filter)
    left, top = (round((side - size) / 2) for side in resized.size)
    return np.asarray(resized.crop((left, top, left + size, top + size))).astype(int)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.sampled_from(FILTERS))
@example(3, 60, 7, Image.Resampling.BICUBIC)
def test_centre_equals_resize_then_crop(width, height, size, filter):
    """The same pixels, except for elongated images, of which Pillow resizes height first."""
    image = Image.fromarray(
        np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    )
    difference = np.abs(
        np.asarray(centre(image, size, filter)).astype(int)
        - resized_then_cropped(image, size, filter)
    )
    ordinary = max(width, height) <= 15 * min(width, height)
    elongated = 16 if filter == Image.Resampling.BICUBIC else 1
    assert difference.max() <= (0 if ordinary else elongated)


@pytest.mark.parametrize("shape", [(1, 1_000_000), (1_000_000, 3)])
@pytest.mark.parametrize("filter", FILTERS)
def test_centre_of_elongated_image_is_cheap(shape, filter, monkeypatch):
    """Only the region that is kept is resized: 16 squares at most."""
    pixels_made = []
    resize = Image.Image.resize

    def counted(image, *arguments, **options):
        result = resize(image, *arguments, **options)
        pixels_made.append(result.width * result.height)
        return result

    monkeypatch.setattr(Image.Image, "resize", counted)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    stored = np.asarray(centre(image, 8, filter)).astype(int)
    assert sum(pixels_made) <= 16 * 8 * 8
    monkeypatch.undo()
    middle = max(shape) // 2
    box = (
        (middle - 300, 0, middle + 300, image.height)
        if image.width > image.height
        else (0, middle - 300, image.width, middle + 300)
    )
    assert np.abs(stored - resized_then_cropped(image.crop(box), 8, filter)).max() <= 1


def test_image_in_stored_format_keeps_its_bytes():
    data = fake.image_bytes(0, (32, 32))
    assert store(data, JPEG) == data
    for other in (
        fake.image_bytes(0, (33, 32)),
        fake.image_bytes(0, (32, 32), "L"),
        fake.image_bytes(0, (32, 32), format="png"),
    ):
        assert store(other, JPEG) != other


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-200],
        lambda data: b"\xff\xd8" + b"?" * 400,
        lambda data: b"",
        lambda data: b"<html>404</html>",
    ],
)
def test_unreadable_image_raises(damage):
    for stored in (RGB, JPEG):
        with pytest.raises(BROKEN):
            store(damage(fake.image_bytes(0, (32, 32))), stored)


THINGS = IndexSettings("things", is_training=True)
SETTINGS = DataSettings(THINGS, (0, 6), stored=JPEG)


@pytest.fixture
def data(tmp_path, monkeypatch):
    table = fake.class_table(tmp_path / "classes.csv", ["n00000001", "n00000002"])
    fake.class_folders(tmp_path / "data", {"n00000001": 3, "n00000002": 3})
    monkeypatch.setenv("DATA_THINGS", str(tmp_path / "data"))
    return datasets.of_split("things", str(table), THINGS)


def test_file_samples_are_the_same_with_any_threads(data, tmp_path):
    datasets.write_index(data, tmp_path / "index.parquet")
    for threads in (1, 3):
        shards.write(
            tmp_path / f"{threads}.tar",
            prepare.file_samples(data, tmp_path / "index.parquet", SETTINGS, threads),
            JPEG,
        )
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "3.tar").read_bytes()
    images, manifest = shards.read(tmp_path / "1.tar")
    assert images.shape == (6, 3, 32, 32)
    assert manifest["class_id"].tolist() == [0, 1] * 3
    assert manifest["class_name"].tolist() == ["thing 0", "thing 1"] * 3
    assert set(manifest["prompt"]) == set(manifest["caption"]) == {""}
    assert (
        manifest["origin"].tolist()
        == pd.read_parquet(tmp_path / "index.parquet")["origin"].tolist()
    )


def test_broken_images_are_all_named_and_nothing_is_left(data, tmp_path):
    datasets.write_index(data, tmp_path / "index.parquet")
    for name, cut in (("n00000001/n00000001_1.JPEG", 300), ("n00000002/n00000002_0.JPEG", 0)):
        path = data.place / name
        path.write_bytes(path.read_bytes()[:cut])
    samples = prepare.file_samples(data, tmp_path / "index.parquet", SETTINGS, 2)
    with pytest.raises(
        datasets.DataSetError, match=r"2 images cannot be read; .*data\.training\.things\.skip"
    ) as error:
        shards.write(tmp_path / "shard.tar", samples, JPEG)
    assert "\nn00000001/n00000001_1.JPEG: " in str(
        error.value
    ) and "\nn00000002/n00000002_0.JPEG: " in str(error.value)
    assert not list(tmp_path.glob("*shard*"))


def test_any_error_of_an_image_is_reported_by_name(data, tmp_path, monkeypatch):
    """Whatever its class: Pillow's plugins raise many."""
    datasets.write_index(data, tmp_path / "index.parquet")
    monkeypatch.setattr(stored_format, "store", lambda *_, **__: [][0])
    with pytest.raises(
        datasets.DataSetError,
        match=r"(?s)6 images cannot be read.*\nn00000001/n00000001_1\.JPEG: IndexError: list index",
    ):
        list(prepare.file_samples(data, tmp_path / "index.parquet", SETTINGS, 1))


def test_missing_image_is_reported(data, tmp_path):
    datasets.write_index(data, tmp_path / "index.parquet")
    (data.place / "n00000001/n00000001_1.JPEG").unlink()
    with pytest.raises(
        datasets.DataSetError,
        match=r"(?s)1 images cannot be read.*n00000001_1\.JPEG: .*No such file",
    ):
        list(prepare.file_samples(data, tmp_path / "index.parquet", SETTINGS, 1))

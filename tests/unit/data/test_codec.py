"""Single images: decoded as Pillow decodes them, whatever they are encoded as."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, UnidentifiedImageError

from synscale.data import codec

sides = st.integers(1, 70)


def encoded(mode: str, height: int, width: int, seed: int, smooth: bool, **options) -> bytes:
    """Noise, or a few colours that flow into each other as in a photograph."""
    random, channels = np.random.default_rng(seed), {"L": (), "RGB": (3,), "CMYK": (4,)}[mode]
    image = Image.fromarray(
        random.integers(0, 256, ((3, 3) if smooth else (height, width)) + channels, np.uint8), mode
    )
    buffer = io.BytesIO()
    image.resize((width, height), Image.Resampling.BICUBIC).save(buffer, **options)
    return buffer.getvalue()


def by_pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image)


def same(found: np.ndarray, expected: np.ndarray) -> bool:
    return found.dtype == expected.dtype and np.array_equal(found, expected)


jpegs = st.builds(
    encoded,
    st.sampled_from(["L", "RGB", "CMYK"]),
    sides,
    sides,
    st.integers(0, 1 << 30),
    st.booleans(),
    format=st.just("jpeg"),
    quality=st.integers(1, 100),
    subsampling=st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
    progressive=st.booleans(),
    optimize=st.booleans(),
)
others = st.builds(
    encoded,
    st.sampled_from(["L", "RGB"]),
    sides,
    sides,
    st.integers(0, 1 << 30),
    st.booleans(),
    format=st.sampled_from(["png", "webp"]),
)


@given(st.one_of(jpegs, others))
def test_decode_gives_the_pixels_of_pillow(data):
    assert same(codec.decode(data), by_pillow(data))


@given(st.lists(st.one_of(jpegs, others), min_size=2, max_size=5))
def test_decode_into_a_buffer_gives_the_same_pixels(encoded_images):
    last = None
    for data in encoded_images:
        last = codec.decode(data, last)
        assert same(last, by_pillow(data))


def test_decode_of_damaged_jpeg_follows_pillow():
    data = encoded("RGB", 32, 32, 0, True, format="jpeg")
    stray = data[:-2] + b"\x12\x34" + data[-2:]  # bytes before the end that belong to nothing
    assert same(codec.decode(stray), by_pillow(stray))
    with pytest.raises(OSError, match=r"(?i)truncated"):
        codec.decode(data[: len(data) // 2])
    with pytest.raises(UnidentifiedImageError):
        codec.decode(b"\xff\xd8nothing")

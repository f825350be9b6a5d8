"""Images that are shifted from the training data: transformations and misread images."""

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestCentroid

from synscale.data import shifts

SIDES = st.integers(4, 12)
IMAGES = st.one_of(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES, st.just(3))).flatmap(
    lambda shape: hnp.arrays(np.uint8, shape)
)


def frame_mean(pixels: np.ndarray) -> float:
    inner = pixels[1:-1, 1:-1].astype(float)
    return (pixels.sum() - inner.sum()) / (pixels.size - inner.size)


@pytest.mark.parametrize("color", [200, (200, 0, 90)])
def test_outlines_of_a_filled_square_are_its_border(color):
    pixels = np.zeros((28, 28) if isinstance(color, int) else (28, 28, 3), np.uint8)
    pixels[5:20, 8:24] = color
    border = pixels.copy()
    border[6:19, 9:23] = 0
    assert (shifts.outlines(pixels) == border).all()


def test_outlines_on_a_bright_frame_are_dark_lines_on_white():
    pixels = np.full((28, 28), 255, np.uint8)
    pixels[5:20, 8:24] = 30
    border = pixels.copy()
    border[6:19, 9:23] = 255
    assert (shifts.outlines(pixels) == border).all()


def test_outlines_are_wider_in_larger_images():
    pixels = np.zeros((256, 256), np.uint8)
    pixels[64:192, 64:192] = 100
    row = shifts.outlines(pixels)[128]
    assert np.flatnonzero(row).tolist() == [*range(64, 68), *range(188, 192)]


@given(IMAGES)
def test_outlines_are_as_bright_as_the_image_was(pixels):
    if frame_mean(pixels) > 127.5:
        pixels = 255 - pixels
    lines = shifts.outlines(pixels)
    assert lines.max() == (pixels.max() if lines.any() else 0)


@given(IMAGES.filter(lambda pixels: frame_mean(pixels) != 127.5))
def test_outlines_of_a_negative_are_the_negative_of_outlines(pixels):
    assert (shifts.outlines(255 - pixels) == 255 - shifts.outlines(pixels)).all()


@given(IMAGES)
def test_inverting_twice_is_the_identity(pixels):
    negative = shifts.inverted(pixels)
    assert (negative.astype(int) + pixels == 255).all()
    assert (shifts.inverted(negative) == pixels).all()


@given(IMAGES, st.floats(0.1, 5))
def test_blurring_keeps_the_mean_of_each_channel(pixels, sigma):
    before, after = (image.mean((0, 1)) for image in (pixels, shifts.blurred(pixels, sigma)))
    assert np.abs(before - after).max() <= 0.5 + 1e-9  # rounding


def test_blurring_a_line_gives_the_normal_density():
    pixels = np.zeros((41, 41), np.uint8)
    pixels[:, 20] = 255
    expected = 255 * stats.norm.pdf(np.arange(-20, 21), scale=3)
    assert np.abs(shifts.blurred(pixels, 3.0) - expected).max() <= 0.6


@given(st.integers(0, 1000), st.sampled_from([(4, 4), (5, 3, 3)]))
def test_misread_images_are_errors_of_nearest_centroid(seed, shape):
    rng = np.random.default_rng(seed)
    learned, images = rng.integers(0, 256, (2, 30, *shape), dtype=np.uint8)
    labels = np.arange(30) % 3
    model = shifts.NearestMean.of(zip(labels.tolist(), learned, strict=True))
    reference = NearestCentroid().fit(learned.reshape(30, -1), labels)
    wrong = reference.predict(images.reshape(30, -1)) != labels
    assert model.misread(images, labels).tolist() == np.flatnonzero(wrong).tolist()


def test_misread_digits_are_errors_of_nearest_centroid():
    digits = load_digits()
    model = shifts.NearestMean.of(zip(digits.target[:600], digits.images[:600], strict=True))
    wrong = model.misread(digits.images[600:], digits.target[600:])
    reference = NearestCentroid().fit(digits.data[:600] / 16, digits.target[:600])
    errors = reference.predict(digits.data[600:] / 16) != digits.target[600:]
    assert 0 < len(wrong) < 0.3 * len(errors)
    assert wrong.tolist() == np.flatnonzero(errors).tolist()

"""Architectures, training recipes and CLIP tasks that cannot be used are reported with a fix."""

import pytest

from tests.support.study_errors import assert_errors

# Old and new text of the smoke study, and messages.
CASES = [
    (
        "clip_tiny:",
        "vit_tiny:",
        ["clip.architectures.vit_tiny: also the name of a classifier; rename one"],
    ),
    (
        "text_heads: 2",
        "text_heads: 3",
        ["clip.architectures.clip_tiny.text_width = 16: must be a multiple of text_heads = 3"],
    ),
    (
        'templates: ["{name}", ',
        'templates: ["digit", ',
        ["clip.templates.0 = 'digit': must contain {name} once"],
    ),
    ("[1, 3, 5, 7, 9]", "[1, 3, 5, 7, 8]", ["clip.tasks.parity.classes", "each in one text only"]),
    (
        "captions: {thin: thin, thick: thick}",
        "captions: {thin: thin}",
        ["clip.tasks.ink: one text (expected 2 or more); add another"],
    ),
    (
        "patch_size: 4",
        "patch_size: 3",
        ["classifiers.architectures.vit_tiny.patch_size = 3: must divide image_size = 8"],
    ),
    (
        "depth: 1, heads: 2, pool",
        "depth: 1, heads: 3, pool",
        ["classifiers.architectures.vit_tiny.width = 16: must be a multiple of heads = 3"],
    ),
    (
        "channels: [8, 8]",
        "channels: [8, 12]",
        ["generators.diffusion.channels.1 = 12: must be a multiple of 8"],
    ),
    (
        "text_width: 16",
        "text_width: 15",
        ["generators.diffusion.text_width = 15: must be a multiple of 2"],
    ),
    (
        "position_std: 0.2",
        "position_std: 0.2\n  image_size: 12",
        ["classifiers.image_size = 12: larger than the 8 of stored images (image_size)"],
    ),
]


@pytest.mark.parametrize(("old", "new", "messages"), CASES)
def test_error_of_models_is_reported(project_folder, tmp_path, old, new, messages):
    assert_errors(tmp_path, old, new, messages)

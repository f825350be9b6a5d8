"""Errors of data sets, their parts, and generators that are trained on them."""

import pytest

from synscale.study.load import StudyError, load_study
from synscale.workflow.settings.data import data_settings, index_settings
from synscale.workflow.settings.generation import generator_settings
from synscale.workflow.shards import images_needed, shards_of_generator
from tests.support import fake_datasets as fake
from tests.support.study_errors import assert_errors
from tests.support.workflow import ROOT

FILES = ROOT / "tests/workflow/files.yaml"
THINGS = "things: {dataset: things_train}"
PARTS = (
    "things: {dataset: ./sets/things, part: [0, 10]}, "
    "for_generator: {dataset: sets//things/, part: [10, null]}"
)
KEYS = (
    "kind: diffusion, channels: [8, 8], text_width: 16, text_layers: 1, sampler: ddim, steps: 2, "
    "training: {iterations: 2, batch_size: 2, learning_rate: 1.0e-3, ema_decay: 0.9, "
    "caption_dropout: 0.1}"
)
MASKED = KEYS.replace("diffusion, channels: [8, 8]", "masked_token, width: 16, layers: 1, heads: 2")
MASKED = MASKED.replace("sampler: ddim, steps: 2", "steps: 2, temperature: [2.0, 0.0]")


@pytest.fixture
def read(tmp_path, monkeypatch):
    """A function that returns the study of files after changes of its text."""
    fake.of_files_study(tmp_path)
    monkeypatch.chdir(tmp_path)

    def read(*changes: tuple[str, str]):
        text = FILES.read_text()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        (tmp_path / "files.yaml").write_text(text)
        load_study.cache_clear()
        return load_study("files.yaml")

    return read


def generator(keys: str) -> tuple[str, str]:
    return "generators: {}", f"generators: {{main: {{{keys}}}}}"


def test_split_of_a_generator_needs_no_source(read):
    study = read((THINGS, PARTS), generator(f"data: for_generator, images: 14, {KEYS}"))
    assert images_needed(study, "for_generator") == 14
    assert shards_of_generator(study, "main") == ["00000", "00001", "00002"]
    assert data_settings(study, "for_generator", 2).range == (12, 14)
    assert index_settings(study, "for_generator").part == (10, None)
    assert generator_settings(study, "main").images == 14


def test_images_of_a_generator_are_by_default_its_part(read):
    parts = PARTS.replace("null", "15")
    study = read((THINGS, parts), generator(f"data: for_generator, {KEYS}"))
    assert generator_settings(study, "main").images == 5


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        (
            [(THINGS, "things: {dataset: My Photos}")],
            [
                "data.training.things.dataset = 'My Photos': neither a path with a / in it nor a "
                "name (small letters, digits and _) in config.yaml's paths; for a path write "
                "'./My Photos'"
            ],
        ),
        (
            [(THINGS, PARTS.replace("[10, null]", "[9, null]"))],
            [
                "data.training.for_generator.part = [9, None]: overlaps data.training.things of "
                "the same data set ([0, 10])"
            ],
        ),
        (
            [(THINGS, PARTS.replace(", part: [10, null]", ""))],
            ["data.training.for_generator.part = missing: overlaps data.training.things"],
        ),
        (
            [(THINGS, PARTS.replace("[0, 10]", "[10, 10]"))],
            ["data.training.things.part = [10, 10]: no images; the second number must be larger"],
        ),
        (
            [("web: {dataset: web}", "web: {dataset: web, part: [0, 9]}")],
            ["data.training.web.part = [0, 9]: pairs have no classes to balance; remove the key"],
        ),
        (
            [generator(KEYS)],
            ["generators.main.data: missing; name a training set of data.training: things, web"],
        ),
        (
            [generator(f"data: thing, {KEYS}")],
            ["generators.main.data = 'thing': no such training set; did you mean 'things'?"],
        ),
        (
            [generator(f"data: things, {KEYS}")],
            ["generators.main.images: missing; give the number of images of things to train on"],
        ),
        (
            [(THINGS, PARTS), generator(f"data: things, images: 11, {KEYS}")],
            ["generators.main.images = 11: more than data.training.things.part = [0, 10] has"],
        ),
        (
            [
                ("image_size: 32", "image_size: 36"),
                ("patch_size: 16", "patch_size: 12"),
                generator(f"data: things, images: 4, {KEYS}"),
            ],
            ["image_size = 36: not a multiple of 8, which generators.main needs; use 32"],
        ),
        (
            [generator(f"data: things, images: 4, {KEYS}".replace("[8, 8]", str([8] * 7)))],
            ["image_size = 32: not a multiple of 64, which generators.main needs; use 64"],
        ),
        (
            [
                ("image_size: 32", "image_size: 128"),
                generator(f"data: things, images: 4, {KEYS}"),
            ],
            [
                "generators.main: generates too many pixels (image_size = 128); lower "
                "image_size, or use a pretrained generator for more than 64 pixels"
            ],
        ),
        (
            [generator(f"data: things, images: 4, {MASKED}")],
            [
                "generators.main.kind = 'masked_token': its tokens are grey levels, not RGB; use "
                "kind: diffusion, or channels: 1 for grey images",
                "generators.main.levels: missing; give the number of grey levels, such as 16",
            ],
        ),
        (
            [generator(f"data: things, images: 4, threshold: 2, {KEYS}")],
            ["generators.main.threshold = 2: input should be a valid boolean"],
        ),
    ],
)
def test_error_of_a_training_set_is_reported(read, changes, messages):
    with pytest.raises(StudyError) as error:
        read(*changes)
    for message in messages:
        assert message in str(error.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("data: real", "generators.diffusion.data = 'real': generators of digits are trained on"),
        ("images: 5", "generators.diffusion.images = 5: generators of digits are trained on all"),
    ],
)
def test_error_of_a_generator_of_digits_is_reported(project_folder, tmp_path, keys, message):
    assert_errors(tmp_path, "kind: diffusion\n", f"kind: diffusion\n    {keys}\n", [message])

"""Errors of generators that are fine-tuned, and the real images that they spend."""

import pytest

from synscale.study.load import load_study
from synscale.study.models.spent_images import real_images_spent
from synscale.workflow.settings.generation import generation_settings
from tests.support.study_errors import assert_errors
from tests.support.workflow import SMOKE

LORA = "lora: {rank: 2, iterations: 5, batch_size: 4, learning_rate: 1.0e-3}"
TUNED = "{{kind: finetuned, base: {base}, data: {{source: {source}, images: {images}}}, {lora}}}"
PLACE = "  masked:\n"


def tuned(base="diffusion", source="real", images=20) -> str:
    return f"  tuned: {TUNED.format(base=base, source=source, images=images, lora=LORA)}\n{PLACE}"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"base": "diffusio"}, "generators.tuned.base = 'diffusio': no such generator; did you"),
        (
            {"base": "masked"},
            "fine-tuning is not supported (kind 'masked_token'); name a gen",
        ),
        ({"base": "tuned"}, "fine-tuning is not supported (kind 'finetuned'); name a generator"),
        ({"source": "rael"}, "generators.tuned.data.source = 'rael': no such source; did you"),
        ({"source": "real_10"}, "data.source = 'real_10': not real (kind 'mixture'); name the"),
        ({"images": 80}, "data.images = 80: more than sources.real has; use at most 40, or raise"),
        ({"images": 25}, "data.images = 25: not a multiple of the 10 classes; use 20"),
    ],
)
def test_error_of_finetuned_generator_is_reported(tmp_path, keys, message):
    assert_errors(tmp_path, PLACE, tuned(**keys), [message])


@pytest.fixture
def study(tmp_path):
    """The smoke study with images of a fine-tuned generator, selected ones and a mixture."""
    text = SMOKE.read_text().replace(PLACE, tuned(), 1)
    part = "{kind: synthetic, generator: tuned, recipe: class_names, images: {1.5: 40}}"
    mixed = (
        "{kind: mixture, label: both, parts: [{source: real}, {source: of_tuned, guidance: 1.5}]}"
    )
    best = "{kind: selected, source: of_tuned, guidance: 1.5, by: diversity, keep: 0.5, images: 20}"
    rows = f"  of_tuned: {part}\n  best: {best}\n  with_tuned: {mixed}\n  real_10:"
    path = tmp_path / "tuned.yaml"
    path.write_text(text.replace("  real_10:", rows, 1))
    return load_study(path)


def test_images_spent_are_those_of_the_finetuning(study):
    rows = study.sources, study.generators
    spent = {name: real_images_spent(*rows, name) for name in study.sources}
    assert {name: count for name, count in spent.items() if count} == {
        "of_tuned": 20,
        "best": 20,
        "with_tuned": 20,
    }


def test_tuned_generator_is_sampled_like_its_base(study):
    tuned_settings = generation_settings(study, "of_tuned", "00000")
    plain = generation_settings(study, "diffusion_class_names", "00000")
    assert tuned_settings.generator == "tuned"
    assert tuned_settings.sampling == plain.sampling

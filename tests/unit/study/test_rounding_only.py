"""Keys that change a result by rounding only, and keys of one architecture, repeat no other job."""

from functools import cache

import pytest

from synscale.study.load import StudyError, load_study
from synscale.study.models import Study
from synscale.study.models.base import ROUNDING_ONLY
from synscale.study.models.classifiers import Training
from synscale.study.models.clip import ClipTraining
from synscale.study.models.generators import GeneratorTraining, PretrainedGenerator, SafetyChecker
from synscale.study.models.recipes import ModelRecipe
from synscale.workflow.settings import identity_of
from synscale.workflow.settings.generation import (
    flag_settings,
    generation_settings,
    generator_settings,
)
from synscale.workflow.settings.prompts import prompt_settings
from synscale.workflow.settings.shard_index import shard_index_settings
from synscale.workflow.settings.training import classifier_settings, clip_settings
from tests.support.interrupted import Killed
from tests.support.workflow import ROOT, SMOKE

MODELS = {
    Training: {"micro_batch_size"},
    ClipTraining: {"micro_batch_size", "gradient_checkpointing"},
    GeneratorTraining: set(),
    PretrainedGenerator: {"batch_size"},
    SafetyChecker: {"batch_size"},
    ModelRecipe: {"batch_size"},
}


@pytest.mark.parametrize("model", MODELS)
def test_marked_fields(model):
    fields = model.model_fields.items()
    marked = {name for name, field in fields if field.json_schema_extra == ROUNDING_ONLY}
    assert marked == MODELS[model]


@cache
def paper() -> Study:
    study = load_study(ROOT / "studies/imagenet.yaml")
    checker = SafetyChecker(model="owner/name", revision="0" * 40)
    return study.model_copy(update={"safety_checker": checker})


def with_keys(study: Study, path: str, **keys) -> Study:
    """A copy of a study with other keys at a path such as classifiers or recipes.captions."""
    part, _, name = path.partition(".")
    old = getattr(study, part)
    changed = (old[name] if name else old).model_copy(update=keys)
    return study.model_copy(update={part: old | {name: changed} if name else changed})


def digests(study: Study) -> dict[str, str]:
    """Digests of one job of each rule that the keys could repeat."""
    run = "vit_base-n125000-seed0"
    settings_of_rules = {
        "train_classifiers": classifier_settings(study, "real", run),
        "train_clip": clip_settings(study, "laion", "clip_base-n1000000-seed0"),
        "generate": generation_settings(study, "sd_captions", "g2-00000"),
        "index_shards": shard_index_settings(study, "sd_captions", "g2-00000"),
        "write_sentences": prompt_settings(study, "word_to_sentence"),
        "caption_images": prompt_settings(study, "captions"),
        "flag_images": flag_settings(study, "sd_captions"),
    }
    return {rule: settings.digest() for rule, settings in settings_of_rules.items()}


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("classifiers", {"micro_batch_size": 128}),
        ("clip", {"micro_batch_size": 64, "gradient_checkpointing": True}),
        ("generators.stable_diffusion", {"batch_size": 2}),
        ("recipes.word_to_sentence", {"batch_size": 2}),
        ("recipes.captions", {"batch_size": 2}),
        ("safety_checker", {"batch_size": 2}),
    ],
)
def test_rounding_only_keys_repeat_no_job(path, keys):
    assert digests(with_keys(paper(), path, **keys)) == digests(paper())


@pytest.mark.parametrize(
    ("path", "keys", "rules"),
    [
        ("classifiers", {"batch_size": 512}, {"train_classifiers"}),
        ("classifiers", {"precision": "float32"}, {"train_classifiers"}),
        ("classifiers", {"compile": None}, {"train_classifiers"}),
        ("clip", {"batch_size": 512}, {"train_clip"}),
        ("generators.stable_diffusion", {"steps": 2}, {"generate", "index_shards"}),
        ("recipes.captions", {"max_tokens": 2}, {"caption_images", "index_shards"}),
    ],
)
def test_other_keys_repeat_their_jobs(path, keys, rules):
    before, after = digests(paper()), digests(with_keys(paper(), path, **keys))
    assert {rule for rule in before if before[rule] != after[rule]} == rules


def test_script_is_given_the_rounding_only_keys():
    settings = classifier_settings(paper(), "real", "vit_base-n125000-seed0")
    assert settings.recipe.micro_batch_size == 512
    assert "micro_batch_size" not in identity_of(settings)["recipe"]


def test_batch_size_of_generator_training_is_in_its_digest():
    smoke = load_study(SMOKE)
    training = smoke.generators["diffusion"].training.model_copy(update={"batch_size": 8})
    changed = with_keys(smoke, "generators.diffusion", training=training)
    one, other = (generator_settings(a_study, "diffusion").digest() for a_study in (smoke, changed))
    assert one != other


# -- settings of one architecture ------------------------------------------------------------


def classifier_digests(study: Study) -> dict[str, str]:
    runs = ("vit_base-n125000-seed0", "vit_large-n125000-seed0")
    return {run: classifier_settings(study, "real", run).digest() for run in runs}


def with_architecture(study: Study, name: str, **keys) -> Study:
    rows = study.classifiers.architectures
    changed = rows | {name: rows[name].model_copy(update=keys)}
    return with_keys(study, "classifiers", architectures=changed)


@pytest.mark.parametrize(
    "keys", [{"learning_rate": 1e-4}, {"gradient_clip": 0.5}, {"drop_path": 0.4}]
)
def test_key_of_one_architecture_repeats_no_other(keys):
    before = classifier_digests(paper())
    after = classifier_digests(with_architecture(paper(), "vit_large", **keys))
    assert [run for run in before if before[run] != after[run]] == ["vit_large-n125000-seed0"]


def test_rate_of_the_recipe_repeats_no_architecture_with_another():
    before = classifier_digests(paper())
    after = classifier_digests(with_keys(paper(), "classifiers", learning_rate=2e-3))
    assert [run for run in before if before[run] != after[run]] == ["vit_base-n125000-seed0"]


def test_same_value_in_recipe_or_architecture_is_the_same_job():
    rate = paper().classifiers.learning_rate
    changed = with_architecture(paper(), "vit_base", learning_rate=rate)
    assert classifier_digests(changed) == classifier_digests(paper())


def test_job_is_given_the_values_of_its_architecture():
    base, large = (
        classifier_settings(paper(), "real", f"{name}-n125000-seed0")
        for name in ("vit_base", "vit_large")
    )
    assert (base.recipe.learning_rate, base.recipe.gradient_clip) == (1e-3, None)
    assert (large.recipe.learning_rate, large.recipe.gradient_clip) == (4e-4, 1.0)
    assert large.architecture.drop_path == 0.2
    assert large.architecture.learning_rate is None


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("learning_rate: 0", r"classifiers\.architectures\.vit_tiny\.learning_rate"),
        ("gradient_clip: -1", r"classifiers\.architectures\.vit_tiny\.gradient_clip"),
        ("drop_path: 1.0", r"classifiers\.architectures\.vit_tiny\.drop_path"),
        ("learning_rat: 1", r"vit_tiny\.learning_rat.*did you mean 'learning_rate'"),
    ],
)
def test_bad_values_of_an_architecture_are_refused(tmp_path, keys, message):
    file = tmp_path / "smoke.yaml"
    file.write_text(SMOKE.read_text().replace("pool: token,", f"pool: token, {keys},", 1))
    with pytest.raises(StudyError, match=message):
        load_study(file)


# -- the same model ------------------------------------------------------------


def test_state_is_continued_with_other_micro_batches(tmp_path, kill_after, monkeypatch):
    """Agrees within 1e-4, as AdamW's first steps have nearly the size of the learning "
    "rate, 5e-3."""
    from safetensors.torch import load_file

    from synscale.training import checkpoint
    from tests.support.classifier_runs import classifier_job

    text = SMOKE.read_text().replace("depth: 1", "depth: 3", 1)
    text = text.replace("pool: token", "pool: token, drop_path: 0.3", 1)
    studies = {}
    for name, key in (("whole", ""), ("parts", "  micro_batch_size: 4\n")):
        studies[name] = tmp_path / f"{name}.yaml"
        studies[name].write_text(text.replace("  position_std", f"{key}  position_std", 1))
    planned = classifier_settings(load_study(studies["whole"]), "real", "vit_tiny").digest()
    classifier_job(tmp_path, "undisturbed", study=studies["whole"])
    kill_after(3)
    with pytest.raises(Killed):
        classifier_job(tmp_path, "resumed", "--settings-digest", planned, study=studies["whole"])
    loaded, load = [], checkpoint.TrainingCheckpoint.load
    monkeypatch.setattr(
        checkpoint.TrainingCheckpoint, "load", lambda self: loaded.append(load(self)) or loaded[-1]
    )
    classifier_job(tmp_path, "resumed", "--settings-digest", planned, study=studies["parts"])
    assert loaded[0] == 3
    for path in (tmp_path / "resumed").iterdir():
        one, other = load_file(path), load_file(tmp_path / "undisturbed" / path.name)
        assert all((one[name] - other[name]).abs().max() < 1e-4 for name in one), path.name

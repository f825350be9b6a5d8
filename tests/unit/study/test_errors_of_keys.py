"""Unknown and missing keys, and values of a wrong type, are reported with a fix."""

import pytest

from tests.support.study_errors import assert_errors

# Old and new text of the smoke study, and messages.
CASES = [
    (
        "title: Smoke",
        "titel: Smoke",
        ["titel = 'Smoke': unknown key; did you mean 'title'?", "title: missing; add it"],
    ),
    (
        "    steps: 2",
        "    stepz: 2",
        [
            "generators.diffusion.stepz = 2: unknown key; did you mean 'steps'?",
            "generators.diffusion.steps: missing",
        ],
    ),
    (
        "  warmup: 0.1\n  weight_decay: 0.05\n",
        "  weight_decay: 0.05\n",
        [
            "classifiers.warmup: missing; add it (share of the iterations in which the learning "
            "rate rises)"
        ],
    ),
    (
        "seeds: [0, 1], curves",
        "curves",
        ["experiments.sweep.seeds: missing; add it (seeds of the trainings)"],
    ),
    (
        "seeds: [0, 1], curves",
        "seeds: [0, 1], curvs",
        ["experiments.sweep.curvs", "unknown key; did you mean 'curves'?"],
    ),
    (
        "batch_size: 16\n  learning_rate: 5",
        "batch_size: many\n  learning_rate: 5",
        ["classifiers.batch_size = 'many': input should be a valid integer"],
    ),
    ("warmup: 0.1", "warmup: 1.5", ["classifiers.warmup = 1.5: input should be less than 1"]),
    (
        "kind: captions",
        "kind: haiku",
        ["recipes.captions.kind = 'haiku': input should be 'class_names', 'description'"],
    ),
    (
        "  masked:",
        "  Masked/..:",
        [
            "generators.Masked/.. = 'Masked/..': a name is part of paths; use small "
            "letters, digits and _"
        ],
    ),
    (
        "learning_rate: 5.0e-3",
        "learning_rate: .inf",
        ["classifiers.learning_rate = inf: input should be a finite number"],
    ),
    (
        "recipe: captions, images: {1.5: 20}",
        "recipe: captions, images: {.nan: 20}",
        ["sources.masked_captions.images.nan = nan: input should be a finite"],
    ),
    (
        "position_std: 0.2",
        "position_std: 0.2\n  mixup: true",
        ["classifiers.mixup = True: input should not be true or false"],
    ),
    ("gpus: 0", "gpus: yes", ["gpus = True: input should not be true or false"]),
    (
        "guidance: 1.5}\n  limited",
        "guidance: al}\n  limited",
        ["experiments.scaling.curves.1.guidance = 'al': input should be 'all'"],
    ),
]


@pytest.mark.parametrize(("old", "new", "messages"), CASES)
def test_error_of_keys_is_reported(project_folder, tmp_path, old, new, messages):
    assert_errors(tmp_path, old, new, messages)

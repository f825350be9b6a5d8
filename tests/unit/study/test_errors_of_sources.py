"""Sources, experiments, laws and scores that do not fit together are reported with a fix."""

import pytest

from tests.support.study_errors import assert_errors

# Old and new text of the smoke study, and messages.
CASES = [
    (
        "sizes: [10, 20, 40]",
        "sizes: [10, 40, 20]",
        [
            "experiments.scaling.sizes = [10, 40, 20]: must increase without repetition",
            "use [10, 20, 40]",
        ],
    ),
    (
        "sizes: [10, 20, 40]",
        "sizes: [10, 20, 25, 40]",
        ["experiments.scaling.sizes = 25: not nested", "use 20"],
    ),
    (
        "sizes: [10, 20, 40]",
        "sizes: [10, 20, 80]",
        ["experiments.scaling.sizes = 80: more than the 40 of sources.real.images"],
    ),
    (
        "sizes: [10, 20, 40]",
        "sizes: [10, 20, 80]",
        [
            "experiments.scaling.sizes = 80: more than the 40 of "
            "sources.diffusion_class_names.images.1.5"
        ],
    ),
    (
        "sizes: [10, 20, 40]",
        "sizes: [10, 20, 80]",
        [
            "experiments.scaling.sizes = 80: no training iterations for it; add 80 to "
            "classifiers.iterations"
        ],
    ),
    (
        "images: {1.5: 20}",
        "images: {1.5: 25}",
        ["sources.masked_captions.images.1.5 = 25: not a multiple of the 10 classes; use 20"],
    ),
    (
        "sizes: [10, 40]}",
        "sizes: [10, 20]}",
        [
            "laws.supervised.sizes = [10, 20]: contains 2 sizes of [10, 20, 40] (real on "
            "vit_tiny); a law needs at least 3"
        ],
    ),
    (
        "recipe: captions,",
        "recipe: caption,",
        ["sources.masked_captions.recipe = 'caption': no such recipe; did you mean 'captions'?"],
    ),
    (
        "generator: masked,",
        "generator: imagen,",
        [
            "sources.masked_captions.generator = 'imagen': no such generator; known: "
            "diffusion, masked"
        ],
    ),
    (
        "guidance: 1.5}\n  limited",
        "guidance: 3.0}\n  limited",
        [
            "experiments.scaling.curves.1.guidance = 3.0: 'diffusion_class_names' has no "
            "images at this scale"
        ],
    ),
    (
        "- source: real\n      -",
        "- {source: real, guidance: 2.0}\n      -",
        ["experiments.scaling.curves.0.guidance = [2.0]: real images have no guidance scale"],
    ),
    (
        "size: 40, seed: 0",
        "size: 40, seed: 7",
        ["scores.reference = {", "no experiment trains it on real images"],
    ),
    (
        "images: 20\n  evaluation",
        "images: 30\n  evaluation",
        ["scores.images = 30: more than the 20 of sources.diffusion_class_names.images.1.0"],
    ),
    (
        "data/digits_classes.csv",
        "data/digit_classes.csv",
        ["classes = 'data/digit_classes.csv': no such file"],
    ),
    (
        "masked_captions: {kind: synthetic, generator: masked, recipe: captions",
        "again: {kind: synthetic, generator: diffusion, recipe: class_names",
        ["sources.again = diffusion x class_names: the same as sources.diffusion_class_names"],
    ),
    (
        "classifier_training: [1]",
        "classifier_training: [1, 2]",
        ["data.evaluation.one_writer = [2]: form 2 is also in data.classifier_training"],
    ),
    (
        "kind: captions}",
        "kind: captions, patterns: ['a {name}']}",
        [
            "recipes.captions.patterns",
            "kind 'sentences' needs patterns and other kinds have none; remove them",
        ],
    ),
    (
        "recipe: captions, images",
        "recipe: alt_texts, images",
        ["experiments.sweep.curves = 'masked_captions': alt texts need not name the class"],
    ),
    (
        "parts: [{source: real, images: 10}",
        "parts: [{source: reals, images: 10}",
        ["sources.real_10.parts.0.source = 'reals': no such source"],
    ),
    (
        "parts: [{source: real, images: 10}",
        "parts: [{source: real, images: 15}",
        ["sources.real_10.parts.0.images = 15: not a multiple of the 10 classes"],
    ),
    (
        "class_names, guidance: 1.5}]}\n  both",
        "class_names, guidance: 3.0}]}\n  both",
        ["sources.real_10.parts.1.guidance = 3.0: 'diffusion_class_names'"],
    ),
    (
        "sizes: [20, 40, 80]",
        "sizes: [10, 20, 40, 80]",
        ["experiments.clip_both.sizes = 10: the parts of sources.both cannot be balanced"],
    ),
    (
        "sizes: [20, 40, 80]",
        "sizes: [20, 40, 160]",
        ["experiments.clip_both.sizes = 160: more than the 40 of sources.real.images"],
    ),
    (
        "[other_writer, parity, ink], sizes",
        "[other_writer, party, ink], sizes",
        ["laws.clip_downstream.evaluation = 'party': no such evaluation set"],
    ),
    (
        "experiments: [scaling], evaluation: outlines",
        "experiments: [scaling], evaluation: parity",
        ["laws.supervised_outlines.evaluation = 'parity'"],
    ),
    (
        "clip, clip_both], evaluation: one",
        "clip, scaling], evaluation: one",
        ["laws.clip.experiments", "write a law for each"],
    ),
    (
        "images: 20\n  evaluation",
        "images: 10\n  evaluation",
        ["scores.images = 10: diversity needs at least two images of each of the 10 classes"],
    ),
    (
        "position_std: 0.2",
        "position_std: 0.2\n  image_size: 6",
        ["vit_tiny.patch_size = 4: must divide classifiers.image_size = 6"],
    ),
]


@pytest.mark.parametrize(("old", "new", "messages"), CASES)
def test_error_of_sources_is_reported(project_folder, tmp_path, old, new, messages):
    assert_errors(tmp_path, old, new, messages)

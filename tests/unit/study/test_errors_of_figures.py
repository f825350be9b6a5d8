"""Figures and tables of what does not exist are reported with a fix."""

import pytest

from tests.support.study_errors import assert_errors

# Old and new text of the smoke study, and messages.
CASES = [
    (
        "evaluation: one_writer, mixtures: real_10}",
        "evaluation: one_writer, mixtures: both}",
        [
            "figures.limited_real.mixtures = 'both': its first part is not a fixed number of "
            "real images; set the source and images of sources.both.parts.0"
        ],
    ),
    (
        "recipes: [class_names], columns",
        "recipes: [nouns], columns",
        [
            "figures.samples.recipes = 'nouns': no such recipe; known: alt_texts, "
            "captions, class_names"
        ],
    ),
    (
        "{experiment: sweep,",
        "{experiment: sweeps,",
        [
            "figures.configuration_sweep.experiment = 'sweeps': no such experiment; did "
            "you mean 'sweep'?"
        ],
    ),
    (
        "recipes: [class_names], columns",
        "recipes: [captions], columns",
        ["figures.samples.recipes = 'captions': no source has it with generator 'diffusion'"],
    ),
    (
        "sweep, architecture: vit_tiny",
        "sweep, architecture: vit_huge",
        [
            "figures.configuration_sweep.architecture = 'vit_huge': no such architecture "
            "in experiments.sweep"
        ],
    ),
    (
        "&synthetic [{source: diffusion_class_names, guidance: 1.5}]",
        "&synthetic [{source: diffusion_class_names, guidance: 1.0}]",
        [
            "figures.beyond_the_law.panels.0.curves = diffusion_class_names at guidance "
            "1 on vit_tiny: not in the experiments of laws.supervised"
        ],
    ),
    (
        "mixtures: real_10",
        "mixtures: real_20",
        ["figures.limited_real.mixtures = 'real_20': no such mixture; did you mean 'real_10'?"],
    ),
    (
        "law: supervised_outlines, arch",
        "law: supervised_outlined, arch",
        ["figures.ood_scaling.panels.0.law = 'supervised_outlined': no such law"],
    ),
    (
        "clip_mixture: both",
        "clip_mixture: real_10",
        ["tables.claims.clip_curves = real_10 on clip_tiny: not in the experiments of laws.clip"],
    ),
    (
        "    clip_mixture: both\n",
        "",
        [
            "tables.claims.clip_mixture: missing; add it, or remove clip_law, "
            "clip_downstream_law, clip_architecture, clip_curves"
        ],
    ),
    (
        "ood: {evaluations: [outlines,",
        "ood: {evaluations: [outline,",
        ["tables.ood.evaluations = 'outline': no such evaluation set"],
    ),
    (
        "fig1_supervised_imagenet_real: {",
        "fig2_supervised_imagenet_real: {",
        ["fig2_supervised_imagenet_real'", "no such id in data/paper_numbers.csv"],
    ),
    (
        "vit_tiny, source: real}}",
        "vit_tiny, source: masked_captions}}",
        ["fig1_supervised_imagenet_real: no guidance; name one of [1.5]"],
    ),
    (
        "supervised: {evaluations: one_writer}",
        "supervised: {evaluations: parity}",
        ["tables.supervised.evaluations = 'parity': no such evaluation set of"],
    ),
    (
        "one_writer, mixtures: real_10}\n  clip_scaling",
        "one_writer, mixtures: [real_10, both]}\n  clip_scaling",
        [
            "figures.joint_law.mixtures = 'both': has other sources than 'real_10'; remove one of "
            "them here"
        ],
    ),
    (
        "parts: [{source: real, images: 10},",
        "parts: [{source: real, images: 10, weight: 2},",
        [
            "figures.joint_law.mixtures = 'real_10': not a mixture of one real and one synthetic "
            "source with equal weights; remove it here, or set the parts of sources.real_10"
        ],
    ),
    (
        "joint_law: {experiments: [scaling, limited]",
        "joint_law: {experiments: [limited]",
        [
            "figures.joint_law.experiments: none trains vit_tiny on real; add one that does",
            "figures.joint_law.experiments: none trains vit_tiny on diffusion_class_names at "
            "guidance 1.5; add one that does",
        ],
    ),
    (
        "joint_law: {experiments",
        "joint_law: {prices: {real: 0}, experiments",
        ["figures.joint_law.prices.real = 0: input should be greater than 0"],
    ),
]


@pytest.mark.parametrize(("old", "new", "messages"), CASES)
def test_error_of_figures_is_reported(project_folder, tmp_path, old, new, messages):
    assert_errors(tmp_path, old, new, messages)

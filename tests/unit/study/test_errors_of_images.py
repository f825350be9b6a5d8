"""Errors of sources whose images were generated elsewhere, and of their figures."""

import pytest

from tests.support.study_errors import assert_errors, study_errors

ROW = "  real_10: {kind: mixture"
SCALING = "      - source: real\n      - {source: diffusion_class_names, guidance: 1.5}\n  limited"
CLIP = "curves: [{source: real}, {source: diffusion_alt_texts}]}"
SOURCE = "  mine: {kind: images, folder: ./mine, images: 40}\n"
# Keys of a source, and messages.
CASES = [
    ("mine: {kind: images, images: 40}", ["sources.mine.folder: missing"]),
    (
        "mine: {kind: images, folder: My Images, images: 40}",
        [
            "sources.mine.folder = 'My Images': neither a path with a / in it nor a name in "
            "config.yaml's paths; for a path write './My Images'"
        ],
    ),
    (
        "one_writer: {kind: images, folder: ./mine, images: 40}",
        ["sources.one_writer: also the name of an evaluation set; rename one"],
    ),
    (
        "generator_training: {kind: images, folder: ./mine, images: 40}",
        ["sources.generator_training: also the name of a training split; rename one"],
    ),
    (
        "mine: {kind: images, folder: ./mine, images: 40, skip: none.txt}",
        ["sources.mine.skip = 'none.txt': no such file"],
    ),
    (
        "mine: {kind: images, folder: ./mine, images: 40, prompt: true}",
        ["sources.mine.prompt = True: unknown key; did you mean 'prompts'?"],
    ),
    (
        "mine: {kind: images, folder: ./mine, images: 40, prompts: 3}",
        ["sources.mine.prompts = 3: input should be a valid boolean"],
    ),
    (
        "mine: {kind: images, folder: ./mine, images: 41, draws: 2}",
        ["sources.mine.images = 41: not a multiple of the 2 draws; use 40"],
    ),
    (
        "mine: {kind: images, folder: ./mine, images: 40}\n"
        "  again: {kind: images, folder: ./mine, images: 20}",
        ["sources.again = images x ./mine: the same as sources.mine; remove one"],
    ),
]


@pytest.mark.parametrize(("keys", "messages"), CASES)
def test_error_of_images_elsewhere_is_reported(project_folder, tmp_path, keys, messages):
    assert_errors(tmp_path, ROW, f"  {keys}\n{ROW}", messages)


@pytest.mark.parametrize(
    ("images", "curve", "message"),
    [
        (40, "source: mine, guidance: 2.0", "images of a folder have no guidance scale"),
        (20, "source: mine", "experiments.scaling.sizes = 40: more than the 20 of sources.mine"),
    ],
)
def test_error_of_a_curve_of_images_elsewhere(project_folder, tmp_path, images, curve, message):
    source = f"  mine: {{kind: images, folder: ./mine, images: {images}}}\n"
    text = SCALING.replace("\n  limited", f"\n      - {{{curve}}}\n  limited")
    changes = [(ROW, source + ROW), (SCALING, text)]
    assert message in "\n".join(study_errors(tmp_path, *changes))


def test_clip_on_images_without_prompts_is_refused(project_folder, tmp_path):
    text = CLIP.replace("]}", ", {source: mine}]}")
    errors = study_errors(tmp_path, (ROW, SOURCE + ROW), (CLIP, text))
    assert errors == [
        "experiments.clip.curves = 'mine': CLIP needs the text of every image; add "
        "sources.mine.prompts: true if the folder has them, or remove the source here"
    ]


def test_plane_without_images_is_refused(project_folder, tmp_path):
    message = "figures.recognizability_diversity.generators = []: nothing to show"
    assert_errors(tmp_path, "generators: [diffusion, masked]", "generators: []", [message])

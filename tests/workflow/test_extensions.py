"""Selected images and repeated images, from a finished study to their figures."""

import re

import pandas as pd
import pytest

ARCHITECTURES = (
    "    vit_tiny: {patch_size: 4, width: 16, depth: 1, heads: 2, pool: token, label: tiny ViT}\n"
)
LONG = ARCHITECTURES.replace("vit_tiny:", "vit_long:").replace("label: tiny", "label: long")
LONG = LONG.replace("pool: token", "pool: token, iterations_factor: 3")
SOURCES = """  recognizable:
    kind: selected
    source: diffusion_class_names
    guidance: 1.5
    by: recognizability
    keep: 0.5
    images: 40
  real_10:"""
RUNS = "sizes: [10, 20, 40], seeds: [0, 1]"
EXPERIMENTS = f"""experiments:
  selected: {{architectures: [vit_tiny], {RUNS}, curves: [{{source: recognizable}}]}}
  repetition: {{architectures: [vit_long], {RUNS}, curves: [{{source: real}}]}}
"""
LAWS = """laws:
  selected: {experiments: [scaling, selected], evaluation: one_writer, sizes: [10, 40]}
"""
FIGURES = """figures:
  selection: {law: selected, architecture: vit_tiny, curves: [{source: recognizable}]}
  repetition:
    experiments: [scaling, repetition]
    architectures: [vit_tiny, vit_long]
    evaluation: one_writer
    source: real
"""


@pytest.fixture(scope="module")
def extended(finished, tmp_path_factory):
    """The smoke study with both figures added to it, and what the run printed."""
    workflow = finished.copy(tmp_path_factory.mktemp("extended") / "workflow")
    workflow.edit(ARCHITECTURES, ARCHITECTURES + LONG)
    # Twice as many images, so that 40 can be selected.
    workflow.edit("images: {1.0: 20, 1.5: 40}", "images: {1.0: 20, 1.5: 80}")
    workflow.edit("  real_10:", SOURCES)
    workflow.edit("experiments:\n", EXPERIMENTS)
    workflow.edit("laws:\n", LAWS)
    workflow.edit("figures:\n", FIGURES)
    return workflow, workflow.run("figures/smoke/selection.csv", "figures/smoke/repetition.csv")


@pytest.mark.slow
def test_only_new_images_and_trainings_run(extended):
    _, printed = extended
    outputs = re.findall(r"^    output: (\S+?),? ", printed.replace("\n", " \n"), re.MULTILINE)
    assert sum("/selected/" in path for path in outputs) == 4  # 10 images of each shard of 20
    expensive = {path for path in outputs if re.search(r"/(images|generators|classifiers)/", path)}
    assert expensive == {
        "results/smoke/images/diffusion_class_names/00002.tar",
        "results/smoke/images/diffusion_class_names/00003.tar",
        "results/smoke/classifiers/recognizable/vit_tiny",
        "results/smoke/classifiers/real/vit_long",
    }


@pytest.mark.slow
def test_selected_images_are_the_most_recognizable_of_each_class(extended):
    workflow, _ = extended
    folder = workflow.folder / "results/smoke/selected/recognizable"
    assert (folder / "00003.tar").is_symlink()
    for place in range(4):
        rows = pd.read_parquet(folder / f"0000{place}.parquet")
        assert rows["image"].tolist() == list(range(10 * place, 10 * place + 10))
        assert sorted(rows["class_id"]) == list(range(10))
        assert rows["source_image"].between(20 * place, 20 * place + 19).all()


@pytest.mark.slow
def test_figure_counts_selected_and_generated_images(extended):
    table = pd.read_csv(extended[0].folder / "figures/smoke/selection.csv")
    runs = table[table["source"].eq("recognizable") & table["part"].eq("runs")]
    assert sorted(set(runs["size"])) == [10, 20, 40]
    assert (runs["images_generated"] == 2 * runs["size"]).all()


@pytest.mark.slow
def test_figure_of_repetition_has_the_epochs_of_each_run(extended):
    table = pd.read_csv(extended[0].folder / "figures/smoke/repetition.csv")
    measured = table[table["part"] == "measured"]
    epochs = measured.groupby("images")["epochs"].unique().map(sorted).to_dict()
    # 5 and 15 iterations of 16 images
    assert epochs == {size: [80 / size, 240 / size] for size in (10, 20, 40)}

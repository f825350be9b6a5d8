"""What runs again when something changes: plans of a study that has no jobs left."""

import os
import re

import pytest


def test_second_run_has_nothing_to_do(done):
    assert "Nothing to be done" in done.dry_run()


def test_touched_scripts_rerun_nothing(done):
    for folder in ("scripts", "synscale"):
        for path in (done.folder / folder).rglob("*.py"):
            os.utime(path)
    assert done.planned() == {}


@pytest.mark.parametrize(
    "path",
    ["scripts/train_classifiers.py", "scripts/train_generator.py", "synscale/models/classifier.py"],
)
def test_comment_in_training_code_retrains_nothing(done, path):
    with open(done.folder / path, "a") as code:
        code.write("# a comment\n")
    assert done.planned() == {}


def test_edited_plotting_script_redraws_only_its_figure(done):
    done.edit("guidance scale", "guidance weight", "scripts/plot_configuration_sweep.py")
    assert done.planned() == {"plot_configuration_sweep": 1, "write_provenance": 1}


def test_edited_source_reruns_only_its_branch(done):
    done.edit("images: {1.5: 20}", "images: {2.0: 20}")
    output = done.dry_run("-p")
    rules = re.findall(r"^rule (\w+):\n(?:.*\n)*?    wildcards: .*$", output, re.MULTILINE)
    stages = {
        "prepare_data",
        "write_prompts",
        "train_generator",
        "generate",
        "train_classifiers",
        "evaluate",
        "score",
    }
    rerun = {"generate", "train_classifiers", "evaluate", "score"}
    assert stages & set(rules) == rerun
    assert set(re.findall(r"source=(\w+)", output)) == {"masked_captions"}


def test_edited_generator_reruns_only_its_sources(done):
    done.edit("channels: [8, 8]", "channels: [8, 16]")
    output = done.dry_run("-p")
    sources = {"diffusion_class_names", "diffusion_alt_texts", "real_10", "both"}
    assert set(re.findall(r"source=(\w+)", output)) == sources
    assert set(re.findall(r"generator=(\w+)", output)) == {"diffusion"}


def test_new_sampler_does_not_retrain_the_generator(done):
    done.edit("sampler: dpmsolver++", "sampler: ddim")
    planned = done.planned()
    assert planned["generate"] == 2 + 2
    assert "train_generator" not in planned


def test_new_evaluation_set_trains_nothing(done):
    known = "    other_writer: {kind: writers, forms: [3]}"
    done.edit(known, f"{known}\n    third_writer: {{kind: writers, forms: [4]}}")
    planned = done.planned()
    assert planned["prepare_data"] == 1
    assert (planned["evaluate"], planned["evaluate_clip"]) == (4, 3)
    assert not {"train_classifiers", "train_clip", "generate", "score"} & set(planned)


def test_more_images_add_shards_and_keep_the_first(done):
    done.edit("1.5: 40}}", "1.5: 60}}")
    folder = "results/smoke/images/diffusion_class_names"
    assert done.planned(f"{folder}/00002.tar") == {"generate": 1}
    assert "generate" not in done.planned(f"{folder}/00001.tar")


GENERATED = """\
  second:
    kind: masked_token
    width: 16
    layers: 1
    heads: 2
    text_width: 16
    text_layers: 1
    steps: 2
    temperature: [2.0, 0.0]
    training:
      {iterations: 20, batch_size: 16, learning_rate: 3.0e-3, ema_decay: 0.9, caption_dropout: 0.1}
"""


def test_generator_added_in_place_repeats_no_job(done):
    done.edit("recipes:\n", f"{GENERATED}recipes:\n")
    source = "{kind: synthetic, generator: second, recipe: captions, images: {1.5: 40}}"
    done.edit("  real_10:", f"  second_captions: {source}\n  real_10:")
    curve = "      - {source: diffusion_class_names, guidance: 1.5}\n"
    added = curve.replace("diffusion_class_names", "second_captions")
    done.edit(f"{curve}  limited", f"{curve}{added}  limited")
    output = done.dry_run("figures/smoke/supervised_scaling.pdf", "-p")
    jobs = re.findall(r"^rule (\w+):\n(?:.*\n)*?    wildcards: (.*)$", output, re.MULTILINE)
    computed = {rule for rule, wildcards in jobs if "second" in wildcards}
    assert {"train_generator", "generate", "train_classifiers", "evaluate"} <= computed
    assert {rule for rule, wildcards in jobs} - computed == {"fit_laws", "plot_scaling"}


def test_copy_of_a_study_repeats_every_job(done):
    (done.folder / "studies/copy.yaml").write_text(done.study.read_text())
    planned = done.planned("figures/copy/supervised_scaling.pdf")
    assert planned["train_classifiers"] == planned["evaluate"] == 2  # real and synthetic images
    assert {"prepare_data", "train_generator", "generate"} <= set(planned)

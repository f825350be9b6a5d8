"""What runs again when something changes: plans of a study that has no jobs left."""

import os
import re

import pytest


def test_second_run_has_nothing_to_do(done):
    assert "Nothing to be done" in done.dry_run()


def test_touched_scripts_rerun_nothing(done):
    for script in (done.folder / "scripts").rglob("*.py"):
        os.utime(script)
    assert done.planned() == {}


@pytest.mark.parametrize("name", ["train_classifiers", "train_generator", "lib/classifier"])
def test_comment_in_a_training_script_retrains_nothing(done, name):
    done.edit("import json", "# a comment\nimport json", f"scripts/{name}.py")
    assert done.planned() == {}


def test_edited_plotting_script_redraws_only_its_figure(done):
    done.edit("guidance scale", "guidance weight", "scripts/plot_configuration_sweep.py")
    assert done.planned() == {"plot_configuration_sweep": 1, "write_provenance": 1}


def test_edited_source_reruns_only_its_branch(done):
    done.edit("images: {1.5: 20}", "images: {2.0: 20}")
    output = done.dry_run()
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
    output = done.dry_run()
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
    assert (planned["evaluate"], planned["evaluate_clips"]) == (4, 3)
    assert not {"train_classifiers", "train_clips", "generate", "score"} & set(planned)


def test_more_images_add_shards_and_keep_the_first(done):
    done.edit("1.5: 40}}", "1.5: 60}}")
    folder = "results/smoke/images/diffusion_class_names"
    assert done.planned(f"{folder}/00002.tar") == {"generate": 1}
    assert "generate" not in done.planned(f"{folder}/00001.tar")

"""Plans: which jobs would run, and the errors that are reported before the first one."""

import re

import pytest

from tests.support.workflow import ROOT, STUDIES, Workflow

PLANS = {
    "digits": {
        "prepare_data": 7,
        "index_shards": 11,
        "train_generator": 2,
        "write_prompts": 7,
        "generate": 10,
        "train_classifiers": 15,
        "evaluate": 15,
        "train_clip": 3,
        "evaluate_clip": 3,
        "score": 10,
        "fit_laws": 7,
        "plot_samples": 1,
        "plot_recognizability_diversity": 1,
        "plot_configuration_sweep": 1,
        "plot_scores": 1,
        "plot_scaling": 3,
        "plot_beyond_the_law": 1,
        "plot_per_class": 1,
        "plot_limited_real": 1,
        "plot_joint_law": 1,
        "plot_clip_transfer": 1,
        "plot_teaser": 1,
        "plot_training_curves": 1,
        "plot_exchange_rate": 1,
        "tabulate_prompts": 1,
        "tabulate_configurations": 1,
        "tabulate_metrics": 3,
        "tabulate_hyperparameters": 1,
        "tabulate_laws": 1,
        "tabulate_claims": 1,
        "tabulate_versus_paper": 1,
        "write_provenance": 1,
    },
    "imagenet": {
        "fetch_generator": 3,
        "fetch_model": 2,
        "fetch_reference": 1,
        "index_data": 22,
        "tabulate_hyperparameters": 1,
        "write_prompts": 6,
        "generate": 11626,
        "prepare_data": 3781,
        "write_sentences": 1,
        "caption_images": 51,
        "index_shards": 210,
        "score": 13,
        "train_classifiers": 318,
        "train_clip": 30,
        "evaluate": 318,
        "evaluate_clip": 30,
        "tabulate_prompts": 1,
        "plot_samples": 1,
        "fit_laws": 8,
        "plot_clip_transfer": 1,
        "plot_recognizability_diversity": 1,
        "tabulate_metrics": 3,
        "plot_scaling": 3,
        "plot_beyond_the_law": 1,
        "plot_configuration_sweep": 1,
        "plot_exchange_rate": 1,
        "plot_joint_law": 1,
        "plot_limited_real": 1,
        "plot_per_class": 1,
        "plot_scores": 1,
        "tabulate_claims": 1,
        "tabulate_configurations": 1,
        "plot_teaser": 1,
        "tabulate_laws": 1,
        "tabulate_versus_paper": 1,
        "write_provenance": 1,
    },
    "imagenet100": {
        "fetch_generator": 2,
        "fetch_model": 1,
        "index_data": 4,
        "tabulate_hyperparameters": 1,
        "prepare_data": 13,
        "caption_images": 10,
        "write_prompts": 3,
        "generate": 65,
        "tabulate_prompts": 1,
        "index_shards": 37,
        "plot_samples": 1,
        "score": 6,
        "plot_recognizability_diversity": 1,
        "train_classifiers": 173,
        "evaluate": 173,
        "plot_training_curves": 1,
        "fit_laws": 3,
        "plot_configuration_sweep": 1,
        "plot_exchange_rate": 1,
        "plot_limited_real": 1,
        "plot_per_class": 1,
        "plot_scores": 1,
        "tabulate_configurations": 1,
        "tabulate_metrics": 2,
        "plot_scaling": 2,
        "plot_teaser": 1,
        "tabulate_laws": 1,
        "write_provenance": 1,
    },
}


ON_GPU = {
    "train_generator",
    "generate",
    "train_classifiers",
    "evaluate",
    "train_clip",
    "evaluate_clip",
    "score",
}


def test_every_study_has_a_plan_here():
    assert set(PLANS) == set(STUDIES)


@pytest.mark.parametrize(
    "name", ["digits", "imagenet100", pytest.param("imagenet", marks=pytest.mark.slow)]
)
def test_plan_of_a_study(workflow, name):
    workflow.study.unlink()
    (workflow.folder / f"studies/{name}.yaml").write_text(STUDIES[name].read_text())
    (workflow.folder / "config.yaml").write_text(f"study: {name}\n")
    assert workflow.planned() == PLANS[name]


def test_one_figure_needs_few_jobs(workflow):
    planned = workflow.planned("figures/smoke/samples.pdf")
    assert planned == {
        "prepare_data": 3,
        "write_prompts": 1,
        "train_generator": 1,
        "generate": 1,
        "plot_samples": 1,
    }


def test_images_are_selected_once_for_each_source(workflow):
    name = "digits_extensions"
    workflow.study.unlink()
    (workflow.folder / f"studies/{name}.yaml").write_text(
        (ROOT / f"studies/{name}.yaml").read_text()
    )
    (workflow.folder / "config.yaml").write_text(f"study: {name}\n")
    planned = workflow.planned(f"figures/{name}/selection.pdf")
    assert planned["select_images"] == 2
    assert (
        planned["generate"] == 2
    )  # the images to select from, and those of the fine-tuned generator
    planned = workflow.planned(f"figures/{name}/scores.pdf")
    assert planned["score_features"] == 2 and planned["train_generator"] == 1


def test_figure_that_the_study_lacks_is_reported(workflow):
    text = workflow.study.read_text()
    workflow.study.write_text(re.sub(r"  limited_real:.*\n", "", text, count=1))
    assert "plot_limited_real" not in workflow.planned()
    output = workflow.dry_run("figures/smoke/limited_real.pdf", check=False)
    assert "no figure 'limited_real'; add figures.limited_real" in output


def test_runs_per_job_one_splits_groups(workflow):
    workflow.edit("runs_per_job: all", "runs_per_job: one")
    planned = workflow.planned("results/smoke/laws/supervised.json")
    assert (
        planned["train_classifiers"] == planned["evaluate"] == 2 * 3 * 2
    )  # curves x sizes x seeds


def test_runs_per_job_curve_splits_guidance_scales(workflow):
    workflow.edit("runs_per_job: all", "runs_per_job: curve")
    planned = workflow.planned("results/smoke/metrics/diffusion_class_names/vit_tiny-g1.5.parquet")
    assert planned["train_classifiers"] == planned["evaluate"] == 1


def test_slurm_profile_works_as_typed(workflow):
    output = workflow.run("--profile", "slurm", "-n")
    assert "train_classifiers" in output


def test_every_job_declares_what_it_needs(workflow):
    workflow.edit("gpus: 0", "gpus: 1")
    output = workflow.dry_run("-p")
    jobs = [
        job
        for job in re.split(r"\n(?=(?:local)?rule )", output)
        if job.startswith("rule ") and not job.startswith("rule all")
    ]
    assert len(jobs) > 20
    for job in jobs:
        resources = re.search(r"resources: (.*)", job).group(1)
        assert "mem_mb=" in resources and "runtime=" in resources
        rule = re.match(r"rule (\w+):", job)[1]
        assert ("gpu=1" in resources) == (rule in ON_GPU), job


# -- errors before the first job -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps: 2", "stepz: 2", "generators.diffusion.stepz"),
        ("sizes: [10, 20, 40]", "sizes: [10, 20, 80]", "experiments.scaling.sizes = 80"),
        (
            "recipes: [class_names]",
            "recipes: [class_name]",
            "figures.samples.recipes = 'class_name'",
        ),
    ],
)
def test_invalid_study_fails_before_the_first_job(workflow, old, new, message):
    workflow.edit(old, new)
    output = workflow.dry_run(check=False)
    assert f"studies/smoke.yaml: {message}" in output
    assert "Traceback" not in output
    assert not (workflow.folder / "results").exists()


def test_unknown_study_is_reported_with_known_names(workflow):
    output = workflow.run("--config", "study=digitz", check=False)  # the command itself, not -n
    assert "no studies/digitz.yaml; known: smoke" in output


def test_failed_job_leaves_no_output_and_names_its_log(workflow: Workflow):
    workflow.edit("classifier_training: [1]", "classifier_training: [13]")
    workflow.edit("real: {kind: real, images: 40}", "real: {kind: real, images: 200}")
    output = workflow.run("results/smoke/data/classifier_training/00000.tar", check=False)
    assert "logs/smoke/prepare_data/classifier_training-00000.log" in output
    assert "name more forms or lower images" in output
    assert not list(workflow.folder.glob("results/smoke/data/*/*"))


THREE = ["--set-threads", "evaluate=3"]


@pytest.mark.parametrize(
    ("gpus", "options", "threads"),
    [
        pytest.param(0, [], 1, marks=pytest.mark.slow),
        pytest.param(1, [], 8),
        pytest.param(1, THREE, 3, marks=pytest.mark.slow),
    ],
)
def test_evaluation_on_a_gpu_has_reader_threads(workflow, gpus, options, threads):
    """7 of 8 threads read images for the GPU; set-threads, as in a profile, has precedence."""
    metrics = "results/smoke/metrics/real/vit_tiny.parquet"
    workflow.edit("gpus: 0", f"gpus: {gpus}")
    printed = workflow.dry_run(metrics, "--cores", "16", "-p", *options)
    assert f"--threads {threads} > logs/smoke/evaluate/real-vit_tiny.log" in printed

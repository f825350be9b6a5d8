"""Plans of the paper's study against sums done by hand: two figures."""

import csv

import pytest

from tests.support.workflow import ROOT, Workflow

pytestmark = pytest.mark.slow

JOB = 60  # seconds of a start in profiles/hardware/a100.yaml
TFLOP = 0.0128  # seconds of a tflop there
# TFLOP of an image: 50 steps, twice for guidance, and the VAE.
STABLE_DIFFUSION = 50 * 2 * 0.803 + 2.5
# TFLOP of an iteration of ViT-B/16 at 224 pixels (17.6 billion multiplications), batch of 1,024.
CLASSIFIER = 3 * 2 * 17.6e9 * 1024 / 1e12


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Rows of the plan of each figure, by stage."""
    workflow = Workflow.create(tmp_path_factory.mktemp("plan") / "workflow")
    workflow.study.unlink()
    (workflow.folder / "studies/imagenet.yaml").write_text(
        (ROOT / "studies/imagenet.yaml").read_text()
    )
    (workflow.folder / "config.yaml").write_text("study: imagenet\nhardware: a100\n")
    workflow.run("plan/imagenet/configuration_sweep.html", "plan/imagenet/clip_scaling.html")
    tables = {}
    for name in ("configuration_sweep", "clip_scaling"):
        with (workflow.folder / f"plan/imagenet/{name}.csv").open() as file:
            tables[name] = {row["stage"]: row for row in csv.DictReader(file)}
    return tables


def test_plan_of_the_configuration_sweep(rows):
    # 6 recipes x 6 scales of Stable Diffusion, 3 x 3 of IF, 3 x 3 of aMUSEd: 54 configurations of
    # 1.28M images. Shards of 25,600: 50 a configuration; of IF 10,000: 128.
    table = rows["configuration_sweep"]
    assert int(table["generate"]["images"]) == 54 * 1_280_000
    assert int(table["generate"]["jobs"]) == 45 * 50 + 9 * 128
    # Trained: each configuration once, and one on real images.
    assert int(table["train_classifiers"]["jobs"]) == 55
    hours = 55 * (196_000 * (CLASSIFIER * TFLOP + 0.01) + JOB) / 3600
    assert float(table["train_classifiers"]["gpu_hours"]) == pytest.approx(hours, rel=0.02)


def test_plan_of_clip_scaling(rows):
    # Real and synthetic pairs to 371M in shards of 100,000; 10 sizes of each, and of both together
    # the same 10 numbers of captions, each with both images: 2M to 742M images.
    table = rows["clip_scaling"]
    assert int(table["generate"]["images"]) == 371_000_000
    assert int(table["generate"]["jobs"]) == 3_710
    assert int(table["train_clip"]["jobs"]) == 10 + 10 + 10
    # Shards of LAION, ImageNet's sets, downstream sets.
    assert int(table["prepare_data"]["jobs"]) == 3_710 + 5 + 15
    # In micro-batches of 1,024 pairs on one GPU, a step costs four forward passes: 4 x 2 x (17.6 +
    # 2.9 of the text) billion multiplications. Iterations: 742M x 32 epochs / 32,768 =
    # 724,609, at least 10,000.
    one_source = 4 * 10_000 + 15_625 + 31_250 + 62_500 + 125_000 + 250_000 + 362_305
    together = 3 * 10_000 + 15_625 + 31_250 + 62_500 + 125_000 + 250_000 + 500_000 + 724_609
    samples = 32_768 * (2 * one_source + together)
    assert float(table["train_clip"]["gpu_hours"]) == pytest.approx(
        samples * 4 * 2 * 20.5e9 / 1e12 * TFLOP / 3600, rel=0.05
    )
    hours = (371_000_000 * STABLE_DIFFUSION * TFLOP + 3_710 * JOB) / 3600
    assert float(table["generate"]["gpu_hours"]) == pytest.approx(hours, rel=0.02)


def test_half_the_steps_take_half_the_hours(rows, workflow):
    workflow.study.unlink()
    (workflow.folder / "studies/imagenet.yaml").write_text(
        (ROOT / "studies/imagenet.yaml").read_text()
    )
    (workflow.folder / "config.yaml").write_text("study: imagenet\nhardware: a100\n")
    workflow.run(
        "plan/imagenet/clip_scaling.html",
        "--config",
        "override={imagenet.generators.stable_diffusion.steps: 25}",
    )
    with (workflow.folder / "plan/imagenet/clip_scaling.csv").open() as file:
        table = {row["stage"]: row for row in csv.DictReader(file)}
    # All of that figure's images are by Stable Diffusion. The decoder, 2.5 of 82.8 TFLOP, and
    # starts are not halved.
    whole = float(rows["clip_scaling"]["generate"]["gpu_hours"])
    hours = 371_000_000 * 25 * 2 * 0.803 * TFLOP / 3600
    assert float(table["generate"]["gpu_hours"]) == pytest.approx(whole - hours, rel=0.001)
    assert hours == pytest.approx(whole / 2, rel=0.05)
    assert float(table["train_clip"]["gpu_hours"]) == pytest.approx(
        float(rows["clip_scaling"]["train_clip"]["gpu_hours"])
    )

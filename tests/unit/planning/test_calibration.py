"""A hardware file from timed work: the plan of the same work takes the same time."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scripts import calibrate as command
from synscale.planning import hardware
from synscale.planning.cost_model import Work
from synscale.timing import bench, calibration, stages
from synscale.timing.bench import Timed
from tests.support.calibrated import base, machine
from tests.support.workflow import ROOT

CPU = torch.device("cpu")
BASES = ("laptop", "a100")


def test_every_stage_has_units_to_fit():
    assert calibration.FITTED.keys() == stages.STAGES.keys() - {"starts", "reads"}


SECONDS = st.floats(0.01, 1e4)


@pytest.mark.parametrize("name", BASES)
@given(
    steps=st.integers(1, 1000), tflop=st.floats(0.1, 1e6), work=SECONDS, start=SECONDS, run=SECONDS
)
def test_plan_of_timed_work_takes_its_time(name, steps, tflop, work, start, run):
    """A single model, whatever speed the base has for it."""
    units = {"step": steps, "tflop": tflop}
    timed = [
        Timed("train_classifiers", "", "one", units, work),
        Timed("train_classifiers", "", "start", {"job": 1}, start),
        Timed("train_classifiers", "", "without its steps", {"run": 1}, run),
    ]
    planned = machine(timed, name).seconds("train_classifiers", Work(units | {"job": 1, "run": 3}))
    assert planned == pytest.approx(work + start + 3 * run, rel=0.02)  # three digits of each


def test_two_models_separate_steps_and_arithmetic():
    timed = [
        Timed("train_clip", "", str(tflop), {"step": 100, "tflop": tflop}, 100 * 0.01 + tflop * 0.5)
        for tflop in (3.0, 40.0)
    ]
    measured = machine(timed)
    seconds = measured.seconds("train_clip", Work({"step": 7, "tflop": 5.0}))
    assert seconds == pytest.approx(7 * 0.01 + 5 * 0.5, rel=0.01)


def test_other_generators_keep_speeds_of_the_base():
    kind = "pretrained:stable-diffusion-v1-5/stable-diffusion-v1-5"
    timed = [
        Timed("generate", "", "start", {"job": 1}, 5.0),
        Timed("generate", kind, "loaded", {"load": 1}, 2.0),
        Timed("generate", kind, "images", {"image": 10, "tflop": 800}, 40.0, note="random weights"),
    ]
    measured = machine(timed)
    job = Work({"job": 1, "image": 20, "pass": 9, "tflop": 1600}, kind)
    assert measured.seconds("generate", job) == pytest.approx(5 + 2 + 80)
    other = Work({"job": 1, "tflop": 100}, "pretrained:amused/amused-512")
    assert measured.seconds("generate", other) == base().seconds("generate", other)
    rates = measured.rates_of("generate", Work({"job": 1, "tflop": 1}, kind))
    origins = {rate.origin for rate in rates}
    assert origins == {"measured (a test; random weights)"}


READER = Timed("train_classifiers", "", "reader", {"read": 500}, 1.0, image_size=256)
STEPS = Timed("train_classifiers", "", "steps", {"step": 10, "tflop": 20}, 1.0)


def test_timed_reader_replaces_that_of_the_base():
    """Its seconds include RandAugment; those of pixels are in proportion."""
    measured = machine([READER, STEPS])
    units = {"step": 10, "tflop": 20, "read": 100, "augment": 200}
    time = measured.time_of("train_classifiers", Work(units, gpus=1, image_size=512))
    assert time.computing == pytest.approx(1.0)
    assert time.reading == pytest.approx(4 * 100 / 500)
    pairs = Work({"step": 1, "read": 100}, gpus=1, image_size=256)
    assert measured.time_of("train_clip", pairs) == base().time_of("train_clip", pairs)


def test_training_without_timed_reader_keeps_that_of_the_base():
    job = Work({"step": 10, "tflop": 20, "read": 100, "augment": 200}, gpus=1, image_size=256)
    reading = machine([STEPS]).time_of("train_classifiers", job).reading
    assert reading == base().time_of("train_classifiers", job).reading > 0


def test_missing_weights_keep_speeds_of_the_base():
    measured = machine(
        [Timed("generate", "pretrained:owner/name", "other", {}, 0, note="not on disk")]
    )
    assert measured.rates == base().rates


def test_hardware_text_is_read_back(tmp_path):
    score = Timed("score", "", "images: 'all' #1", {"image": 10}, 1.0)
    measured = machine([score, READER, STEPS])
    text = calibration.hardware_text(measured, "studies/digits.yaml", "a100", "a test")
    (tmp_path / "new.yaml").write_text(text)
    assert hardware.load("new", tmp_path) == measured


def test_other_files_are_not_overwritten(tmp_path):
    output = tmp_path / "a100.yaml"
    arguments = ["--study", str(ROOT / "studies/digits.yaml"), "--base", "laptop"]
    output.write_text("title: other\n")
    problem = r"a100.yaml: exists and was not written by this command; name another --output"
    with pytest.raises(SystemExit, match=problem):
        command.main([*arguments, "--output", str(output)])
    assert output.read_text() == "title: other\n"
    command.check_output(output, overwrite=True)
    output.write_text(f"{calibration.MARK} ...\n")
    command.check_output(output, overwrite=False)


def test_fitting_halves_a_batch_until_it_fits():
    def work(batch: int) -> list[Timed]:
        if batch > 300:
            raise torch.OutOfMemoryError
        return [Timed("train_clip", "", str(batch), {"step": 1}, 1.0)]

    [timed] = bench.fitting(1024, work, CPU)
    assert timed.what == "256"
    assert timed.note == "timed at 256, as a batch of 1024 does not fit into the GPU"
    [timed] = bench.fitting(256, work, CPU)
    assert (timed.what, timed.note) == ("256", "")

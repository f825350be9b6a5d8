"""Short trainings on images of noise, in the test process."""

from dataclasses import replace

import numpy as np
import torch

from synscale.study.load import load_study
from synscale.study.models.classifiers import Architecture, Training
from synscale.training import classifier_loop, generator_loop, stream
from synscale.training.classifier_loop import ClassifierJob
from synscale.training.distributed import ProcessGroup
from synscale.training.generator_texts import ImageTexts
from synscale.workflow.settings.generation import generator_settings
from synscale.workflow.settings.training import TrainingRun
from tests.support.workflow import SMOKE


def recipe(**changes) -> Training:
    """Return the recipe of the smoke study with other values."""
    smoke = load_study(SMOKE).classifiers.model_dump(include=set(Training.model_fields))
    return Training(**smoke | changes)


def architecture() -> Architecture:
    """Return the architecture of the smoke study."""
    return load_study(SMOKE).classifiers.architectures["vit_tiny"]


def train_on_noise(folder, training: Training, iterations: int, **options) -> torch.nn.Module:
    """Return the model of a short training on forty images of noise."""
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8, generator=random)
    images = stream.InMemoryImages([40], pixels, torch.arange(40) % 10)
    run = TrainingRun("real", "run", 0, iterations)
    job = ClassifierJob(run, architecture(), 8, 1, 10, training)
    processes = ProcessGroup(torch.device("cpu"))
    return classifier_loop.train(job, images, folder, "", processes, **options)


def train_small_generator(generator: str, folder, **options) -> dict[str, torch.Tensor]:
    """Return the weights of the denoiser after six steps on twenty images of noise."""
    settings = generator_settings(load_study(SMOKE), generator)
    row = settings.generator
    training = row.training.model_copy(update={"iterations": 6})
    settings = replace(settings, generator=row.model_copy(update={"training": training}))
    pixels = np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8), np.uint8)
    images = stream.InMemoryImages([20], torch.from_numpy(pixels), torch.zeros(20).long())
    captions = ImageTexts.of([["one", "a thick one"], ["two", "a thin two"]] * 10)
    pipeline = generator_loop.train(
        settings, images, captions, str(folder), "same", torch.device("cpu"), **options
    )
    return getattr(pipeline, generator_loop.KINDS[row.kind][0]).state_dict()

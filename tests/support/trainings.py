"""Short trainings on images of noise, in the test process."""

from dataclasses import replace

import synscale.runtime.torch_setup  # noqa: F401

import numpy as np
import torch

from synscale.study.load import load_study
from synscale.study.models.classifiers import Training
from synscale.training import classifier_loop, distributed, generator_loop, stream
from synscale.workflow.settings.generation import generator_settings
from tests.support.workflow import SMOKE


def recipe(**chosen) -> Training:
    smoke = load_study(SMOKE).classifiers.model_dump(
        exclude={"architectures", "iterations", "runs_per_job"}
    )
    return Training(**smoke | chosen)


def train_on_noise(folder, chosen: Training, iterations: int) -> torch.nn.Module:
    """The model of a short training on forty images of noise."""
    images = torch.randint(
        0, 256, (40, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    architecture = (
        load_study(SMOKE).classifiers.architectures["vit_tiny"].model_dump(exclude={"label"})
    )
    build = {"architecture": architecture, "image_size": 8, "channels": 1, "classes": 10}
    run = {"source": "real", "name": "run", "seed": 0, "iterations": iterations}
    held = stream.Held([40], images, torch.arange(40) % 10)
    return classifier_loop.train(
        build, chosen, run, held, folder, "", distributed.Team(torch.device("cpu"))
    )


def train_small_generator(generator: str, folder) -> dict[str, torch.Tensor]:
    """Weights of the denoiser after six steps on twenty images of noise."""
    settings = generator_settings(load_study(SMOKE), generator)
    row = settings.generator
    training = row.training.model_copy(update={"iterations": 6})
    settings = replace(settings, generator=row.model_copy(update={"training": training}))
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8), np.uint8)
    captions = [["one", "a thick one"], ["two", "a thin two"]] * 10
    pipeline = generator_loop.train(
        settings, images, captions, str(folder), "same", torch.device("cpu")
    )
    return getattr(pipeline, generator_loop.KINDS[row.kind][0]).state_dict()

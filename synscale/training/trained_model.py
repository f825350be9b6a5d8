"""A classifier in training: its optimizer, its learning rate, and the average of its weights."""

from dataclasses import dataclass

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from synscale.study.models.classifiers import Training


@dataclass(frozen=True)
class TrainedModel:
    """A model and the state that its steps change.

    Parameters
    ----------
    model : Module
    optimizer : Optimizer
        AdamW of the weights that need a gradient.
    schedule : LRScheduler
        Linear warm-up, followed by a cosine to zero.
    average : AveragedModel or None
        Moving average of the weights, if the recipe asks for it.
    """

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    schedule: LRScheduler
    average: AveragedModel | None

    @classmethod
    def create(cls, model: torch.nn.Module, recipe: Training, total: int) -> "TrainedModel":
        """Return the state before the first of `total` steps.

        Parameters
        ----------
        model : Module
        recipe : Training
        total : int
            Steps of the training.
        """
        decay, betas = recipe.weight_decay, recipe.betas
        weights = [value for value in model.parameters() if value.requires_grad]
        optimizer = torch.optim.AdamW(
            weights, recipe.learning_rate, betas, weight_decay=decay, fused=True
        )
        warm = max(1, round(recipe.warmup * total))
        rise = LinearLR(optimizer, 1 / warm, total_iters=warm)
        fall = CosineAnnealingLR(optimizer, max(1, total - warm))
        average = None
        if recipe.ema_decay:
            average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay))
        return cls(model, optimizer, SequentialLR(optimizer, [rise, fall], [warm]), average)

    @property
    def parts(self) -> dict:
        """Parts of a saved state, by name."""
        return dict(vars(self))

    @property
    def result(self) -> torch.nn.Module:
        """The model, or the moving average of its weights."""
        return self.average.module if self.average else self.model

    def step(self) -> float:
        """Apply the gradients; return the learning rate of the step."""
        rate = self.optimizer.param_groups[0]["lr"]
        self.optimizer.step()
        self.schedule.step()
        if self.average:
            self.average.update_parameters(self.model)
        return rate

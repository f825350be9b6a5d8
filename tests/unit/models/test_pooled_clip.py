"""CLIP without the outputs that nothing reads has the features and gradients of open_clip's."""

import pytest
import torch
from open_clip.model import CLIP

from synscale.models import clip
from synscale.models.pooled_clip import PooledCLIP
from tests.support.clip_runs import TINY


def gradients_of(kind: type[CLIP], depth: int, checkpointing: bool) -> dict[str, torch.Tensor]:
    """Train one step without an optimizer; return features and gradients by name."""
    torch.manual_seed(0)
    architecture = TINY.model_copy(update={"depth": depth, "text_depth": depth})
    model = kind(**clip.config(architecture, 8), output_dict=True)
    model.set_grad_checkpointing(checkpointing)
    words = clip.tokenizer(architecture.context_length, architecture.merges)
    tokens = words(["a three, thick", "two", "a long text of a seven"])
    output = model(torch.rand(3, 3, 8, 8), tokens)
    logits = output["logit_scale"] * output["image_features"] @ output["text_features"].T
    torch.nn.functional.cross_entropy(logits, torch.arange(3)).backward()
    return output | {name: weights.grad for name, weights in model.named_parameters()}


@pytest.mark.parametrize(("depth", "checkpointing"), [(1, False), (3, False), (2, True)])
def test_pooled_clip_has_gradients_of_open_clip(depth, checkpointing):
    expected = gradients_of(CLIP, depth, False)
    pooled = gradients_of(PooledCLIP, depth, checkpointing)
    assert pooled.keys() == expected.keys()
    for name, values in pooled.items():
        largest = expected[name].abs().max().item()
        assert torch.allclose(values, expected[name], atol=1e-5 * largest), name

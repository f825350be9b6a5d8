"""Masks of stochastic depth follow from the seed, the step and the place in the batch only."""

import torch
from timm.layers import DropPath

from synscale.models import classifier
from synscale.models.stochastic_depth import BatchDropPath, StochasticDepth
from synscale.study.models.classifiers import Architecture

CPU = torch.device("cpu")
VIT = Architecture(label="", patch_size=4, width=16, depth=3, heads=2, pool="avg", drop_path=0.5)


def vit(**changes) -> torch.nn.Module:
    torch.manual_seed(0)
    return classifier.build(VIT.model_copy(update=changes), 8, 1, 10)


def test_every_layer_of_timm_is_replaced():
    model = vit()
    rates = [layer.drop_prob for layer in model.modules() if isinstance(layer, DropPath)]
    depth = StochasticDepth(model, 4, CPU)
    assert [layer.rate for layer in depth.layers] == rates == [0.25, 0.25, 0.5, 0.5]
    assert not any(isinstance(layer, DropPath) for layer in model.modules())
    assert not StochasticDepth(vit(drop_path=0.0), 4, CPU).layers


def test_masks_drop_at_the_rate_and_keep_the_mean():
    depth = StochasticDepth(vit(), 4, CPU)
    masks = depth.draw(20_000, torch.Generator().manual_seed(0))
    assert set(masks[0].unique().tolist()) == {0.0, torch.tensor(4 / 3).item()}
    assert torch.allclose(masks.mean(1), torch.ones(4), atol=0.03)
    assert torch.allclose(
        (masks == 0).float().mean(1), torch.tensor([0.25, 0.25, 0.5, 0.5]), atol=0.02
    )


def test_micro_batches_have_the_masks_of_their_images():
    images, outputs = torch.randn(6, 1, 8, 8), []
    masks = StochasticDepth(vit(), 6, CPU).draw(6, torch.Generator().manual_seed(3))
    for size in (6, 2):
        model = vit().train()
        depth, parts = StochasticDepth(model, size, CPU), []
        for first in range(0, 6, size):
            depth.use(masks, first)
            parts.append(model(images[first : first + size]))
        outputs.append(torch.cat(parts))
    assert torch.allclose(*outputs, atol=1e-6)
    assert not torch.allclose(outputs[0], vit().eval()(images), atol=1e-3)


def test_nothing_is_dropped_in_evaluation():
    layer = BatchDropPath(0.5, 2, CPU).eval()
    layer.scale.zero_()
    assert torch.equal(layer(torch.ones(3, 2)), torch.ones(3, 2))

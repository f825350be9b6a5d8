"""What classifiers compute on a CPU is what timm and oneDNN compute."""

from synscale.runtime.torch_setup import use_onednn

import pytest
import torch
from timm.layers import PatchEmbed

from synscale.models import classifier
from synscale.study.models.classifiers import Architecture

VIT = Architecture(label="", patch_size=4, width=16, depth=1, heads=2, pool="avg")


def test_patch_embedding_is_that_of_timm():
    layer = classifier.build(VIT, 12, 3, 10).patch_embed
    images = torch.rand(5, 3, 12, 12)
    gradients = []
    for forward in (layer.forward, lambda images: PatchEmbed.forward(layer, images)):
        output = forward(images)
        weights = torch.autograd.grad(output.square().sum(), [layer.proj.weight, layer.proj.bias])
        gradients.append([output, *weights])
    assert gradients[0][0].shape == (5, 9, 16)
    torch.testing.assert_close(*gradients)


def test_onednn_is_restored_after_an_error():
    before = torch.backends.mkldnn.enabled
    with pytest.raises(KeyError), use_onednn(not before):
        assert torch.backends.mkldnn.enabled is not before
        raise KeyError
    assert torch.backends.mkldnn.enabled is before

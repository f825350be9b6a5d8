"""Memory of a CLIP training: what cannot fit is refused, and the estimates match counted bytes."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from open_clip.loss import ClipLoss
from open_clip.model import CLIP
from torch.utils._python_dispatch import TorchDispatchMode

from synscale.models import clip
from synscale.models.pooled_clip import PooledCLIP
from synscale.planning import clip_memory
from synscale.planning.clip_memory import Memory
from synscale.study.models.clip import ClipArchitecture
from synscale.training.clip_gradients import Gradients
from synscale.training.clip_group import train_clip
from synscale.training.distributed import ProcessGroup
from tests.support.clip_runs import CPU, TINY, job_of, recipe_of, run_of, settings_of

BASE = ClipArchitecture(
    label="",
    embed_dim=512,
    patch_size=16,
    width=768,
    depth=12,
    heads=12,
    text_width=512,
    text_depth=12,
    text_heads=8,
    context_length=77,
)
A100 = 85_000_000_000


def base(micro_batch: int, batch_size: int = 32768, **changed) -> Memory:
    """CLIP ViT-B/16 of the paper on one GPU."""
    return Memory("laion x", BASE, 150_000_000, 224, batch_size, micro_batch, **changed)


def test_activations_of_the_papers_model():
    # (20 values x 11 layers + 4 of the last) x 2 bytes x (197 x 768 + 77 x 512) bytes a pair.
    assert base(512).activations == 512 * 85_442_560
    assert base(512, compiled=True).activations == 512 * 68_659_200
    # With checkpointing: the inputs of all layers, and one layer of the image tower.
    stored_values = 12 * (197 * 768 + 77 * 512) + 20 * 197 * 768
    assert base(512, gradient_checkpointing=True).activations == 512 * 2 * stored_values


def test_similarities_of_one_micro_batch_only():
    # The complete matrix of 32,768 pairs has 4.3 GB in float32; open_clip's trainer kept five.
    assert base(512).batch < 1.2e9
    assert base(32768).batch > 32768**2 * 4 * 6


def test_training_that_cannot_fit_is_refused():
    clip_memory.check(base(512), A100)
    with pytest.raises(SystemExit) as error:
        clip_memory.check(base(1024), A100)
    message = "laion x: 1024 pairs at a time do not fit into the GPU (at least 91.6 GB"
    assert str(error.value).startswith(message)
    assert "activations 87.5" in str(error.value)
    assert "lower clip.micro_batch_size or set clip.gradient_checkpointing: true" in str(
        error.value
    )
    clip_memory.check(base(1024, gradient_checkpointing=True), A100)


def test_job_refuses_before_training(tmp_path, monkeypatch):
    class Device:
        total_memory = 1000

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Device)
    processes = ProcessGroup(torch.device("cuda"))
    settings = settings_of(run_of("one", ("real", None, 4)), inputs={"real": 1})
    with pytest.raises(SystemExit, match="both one: 8 pairs at a time do not fit into the GPU"):
        files = tmp_path / "out", tmp_path / "out.csv", tmp_path / "state"
        train_clip(settings, ["real.tar"], [], *files, processes)


def saved_bytes(job, pairs: int) -> int:
    """Bytes that the backward pass of a model needs, without its weights."""
    model = PooledCLIP(**clip.config(job.architecture, job.image_size), output_dict=True)
    model.set_grad_checkpointing(job.recipe.gradient_checkpointing)
    weights = {part.untyped_storage().data_ptr() for part in model.parameters()}
    saved = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage
        return tensor

    tokens = torch.randint(1, 300, (pairs, job.architecture.context_length))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(torch.rand(pairs, 3, job.image_size, job.image_size), tokens)
    return sum(storage.nbytes() for storage in saved.values())


def test_activations_match_saved_tensors():
    sizes = {"width": 64, "text_width": 32, "depth": 6, "text_depth": 6}
    deep = TINY.model_copy(update=sizes)
    run = run_of("one", ("real", None, 8))
    job = job_of(run, batch_size=16, precision="float32")
    job = replace(job, architecture=deep, image_size=16)
    estimate, counted = job.memory(1), saved_bytes(job, 16)
    assert estimate.activations <= counted <= 1.15 * estimate.activations
    weights = CLIP(**clip.config(deep, 16)).parameters()
    assert estimate.parameters == sum(part.numel() for part in weights)


class Largest(TorchDispatchMode):
    """Notes the largest number of elements of a result."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.elements = max(self.elements, result.numel())
        return result


def test_chunked_loss_equals_clip_loss_without_its_matrix():
    torch.manual_seed(0)
    features = [F.normalize(torch.randn(64, 4), dim=-1) for _ in range(2)]
    inputs = [part.clone().requires_grad_() for part in (*features, torch.tensor(14.0))]
    expected = ClipLoss()(*inputs)
    expected.backward()
    with Largest() as largest:
        gradients = Gradients(None, None, job_of(run_of("one")).recipe, ProcessGroup(CPU))
        loss, scale, images, texts = gradients.of_features(*features, torch.tensor(14.0), rows=8)
    assert largest.elements == 8 * 64
    assert loss == pytest.approx(expected.item(), abs=1e-6)
    for gradient, part in zip((images, texts, scale), inputs, strict=True):
        assert torch.allclose(gradient, part.grad, atol=1e-6)


@pytest.mark.parametrize("rows", [16, 64])
def test_weights_multiply_both_losses_of_a_pair(rows):
    torch.manual_seed(0)
    features = [F.normalize(torch.randn(64, 4), dim=-1) for _ in range(2)]
    weights = torch.rand(64) + 0.5
    images, texts, scale = inputs = [
        part.clone().requires_grad_() for part in (*features, torch.tensor(14.0))
    ]
    logits, labels = scale * images @ texts.T, torch.arange(64)
    both = [F.cross_entropy(part, labels, reduction="none") for part in (logits, logits.T)]
    expected = ((both[0] + both[1]) / 2 * weights).mean()
    expected.backward()
    gradients = Gradients(None, None, job_of(run_of("one")).recipe, ProcessGroup(CPU))
    loss, scale, *others = gradients.of_features(*features, torch.tensor(14.0), rows, weights)
    assert loss == pytest.approx(expected.item(), abs=1e-6)
    for gradient, part in zip((*others, scale), inputs, strict=True):
        assert torch.allclose(gradient, part.grad, atol=1e-6)


def test_host_memory_covers_batch_and_readers():
    recipe = recipe_of(batch_size=32768, micro_batch_size=512)
    one_thread = clip_memory.host_mb(recipe, 224, 3, threads=1)
    assert one_thread > 32768 * 224 * 224 * 3 / 1e6 + 3000  # a batch as bytes: 4.9 GB
    assert clip_memory.host_mb(recipe, 224, 3, threads=9) - one_thread == pytest.approx(
        8 * 1731, abs=2
    )

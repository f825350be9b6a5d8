"""A cache of text embeddings.

A recipe has few distinct texts for millions of images, and all images share one negative prompt.
"""

from collections import OrderedDict
from collections.abc import Callable

import torch
from diffusers import DiffusionPipeline

# transformers registers its outputs with it.
from torch.utils._pytree import tree_flatten, tree_unflatten

# Outputs of an encoder: 8,000 texts of Stable Diffusion 1.5 in bfloat16, 1,700 of DeepFloyd IF.
CACHE_BYTES = 1 << 30


class CachedEncoder:
    """The forward pass of a text encoder, which encodes no cached text again.

    The pipelines, which differ in what they do with texts, call it in place of the forward pass.
    New texts are encoded in batches of always `rows`, filled up with the last of them: an embedding
    depends on no neighbour, and not on which texts came before. The least recently used outputs
    are removed first.

    Parameters
    ----------
    forward : callable
        Forward pass of the encoder.
    rows : int
        Texts of a batch.
    cache_bytes : int
        Size of the cache.
    """

    def __init__(self, forward: Callable, rows: int, cache_bytes: int = CACHE_BYTES):
        self.forward = forward
        self.rows = rows
        self.room = cache_bytes
        self.cache: OrderedDict[tuple, list[torch.Tensor | None]] = OrderedDict()

    def __call__(self, *args, **kwargs):
        """Call the forward pass on tensors of tokens and masks, (N, ...) each.

        Outputs that are no tensors, such as keys and values of attention, are None.
        """
        leaves, inputs_spec = tree_flatten((args, kwargs))
        keys = _keys(leaves)
        outputs = {key: self.cache[key] for key in dict.fromkeys(keys) if key in self.cache}
        new = list({key: row for row, key in enumerate(keys) if key not in outputs}.values())
        for first in range(0, len(new), self.rows):
            rows = new[first : first + self.rows]
            filled = rows + rows[-1:] * (self.rows - len(rows))
            batch = [leaf[filled] if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
            encoded = self._encode(*tree_unflatten(batch, inputs_spec))
            outputs |= zip((keys[row] for row in rows), encoded, strict=False)
        self._store(outputs)
        columns = zip(*(outputs[key] for key in keys), strict=True)
        stacked = [None if column[0] is None else torch.stack(column) for column in columns]
        return tree_unflatten(stacked, self.outputs_spec)

    def _encode(self, args: tuple, kwargs: dict) -> list[list[torch.Tensor | None]]:
        """Return the outputs of each row."""
        leaves, self.outputs_spec = tree_flatten(self.forward(*args, **kwargs))
        return [
            [leaf[row].clone() if isinstance(leaf, torch.Tensor) else None for leaf in leaves]
            for row in range(self.rows)
        ]

    def _store(self, outputs: dict[tuple, list[torch.Tensor | None]]) -> None:
        for key, tensors in outputs.items():
            if key not in self.cache:
                self.room -= _size(tensors)
            self.cache[key] = tensors
            self.cache.move_to_end(key)
        while self.room < 0:
            _, tensors = self.cache.popitem(last=False)
            self.room += _size(tensors)


def _keys(leaves: list) -> list[tuple]:
    """Return the cache key of each row of a batch."""
    rest = repr([leaf for leaf in leaves if not isinstance(leaf, torch.Tensor)])
    host = [leaf.cpu().numpy() for leaf in leaves if isinstance(leaf, torch.Tensor)]
    return [
        (rest, *((array[row].shape, array[row].tobytes()) for array in host))
        for row in range(len(host[0]))
    ]


def _size(tensors: list[torch.Tensor | None]) -> int:
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)


def cache_embeddings(pipeline: DiffusionPipeline, rows: int) -> None:
    """Cache the outputs of every text encoder of a pipeline.

    Parameters
    ----------
    pipeline : DiffusionPipeline
        Changed in place.
    rows : int
        Texts that are encoded at a time.
    """
    for name, model in pipeline.components.items():
        if "text_encoder" in name and model is not None:
            model.forward = CachedEncoder(model.forward, rows)

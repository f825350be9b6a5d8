"""open_clip's CLIP without the part of its last blocks that nothing reads.

A feature is read at one position of a sequence: the class token of an image, the end of a text.
open_clip computes the last block of both towers at all positions and drops the others. Here its
queries, its output and its MLP exist at that position only; keys and values need all positions.
Weights, their names and initial values are those of open_clip; features and gradients are equal up
to rounding. The last block is 1 of 12 in the paper's models, and the only one of the digits study's
text tower.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from open_clip.transformer import ResidualAttentionBlock, Transformer
from torch.utils.checkpoint import checkpoint


def last_block(
    block: ResidualAttentionBlock,
    tokens: torch.Tensor,
    positions: torch.Tensor,
    mask: torch.Tensor | None,
) -> torch.Tensor:
    """Return the output of a block at one position of each sequence.

    Parameters
    ----------
    block : ResidualAttentionBlock
        Of open_clip, with self-attention.
    tokens : Tensor, shape (N, L, width)
    positions : Tensor, shape (N,), int64
    mask : Tensor, shape (L, L), or None
        Added to the logits of attention.

    Returns
    -------
    Tensor, shape (N, 1, width)
    """
    rows = torch.arange(len(tokens), device=tokens.device)
    normed = block.ln_1(tokens)
    if mask is not None:
        mask = mask[positions, None].repeat_interleave(block.attn.num_heads, 0)
    attended = block.attention(normed[rows, positions, None], normed, normed, mask)
    output = tokens[rows, positions, None] + block.ls_1(attended)
    return output + block.ls_2(block.mlp(block.ln_2(output)))


def _run(transformer: Transformer, function: Callable, *inputs: object) -> torch.Tensor:
    if transformer.grad_checkpointing:
        return checkpoint(function, *inputs, use_reentrant=False)
    return function(*inputs)


def pooled_output(
    transformer: Transformer,
    tokens: torch.Tensor,
    positions: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the output of a transformer at one position of each sequence.

    Parameters
    ----------
    transformer : Transformer
        Of open_clip.
    tokens, positions, mask
        As of `last_block`.

    Returns
    -------
    Tensor, shape (N, 1, width)
    """
    *blocks, last = transformer.resblocks
    for block in blocks:
        tokens = _run(transformer, block, tokens, None, None, mask)
    return _run(transformer, last_block, last, tokens, positions, mask)


class PooledCLIP(CLIP):
    """CLIP with a class token and texts that are read at their last token."""

    def encode_image(self, image: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        """Return the features of images, shape (N, embed_dim); unit vectors if `normalize`.

        Parameters
        ----------
        image : Tensor, shape (N, 3, H, W), float32
        normalize : bool, optional
            Whether to return unit vectors.
        """
        visual = self.visual
        tokens = visual._embeds(image)
        class_token = torch.zeros(len(tokens), dtype=torch.long, device=tokens.device)
        pooled, _ = visual._pool(pooled_output(visual.transformer, tokens, class_token))
        features = pooled @ visual.proj
        return F.normalize(features, dim=-1) if normalize else features

    def encode_text(self, text: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        """Return the features of tokens, shape (N, embed_dim); unit vectors if `normalize`.

        Parameters
        ----------
        text : Tensor, shape (N, L), int64
            Tokens.
        normalize : bool, optional
            Whether to return unit vectors.
        """
        tokens = self.token_embedding(text) + self.positional_embedding
        end = text.argmax(-1)  # the largest token
        pooled = pooled_output(self.transformer, tokens, end, self.attn_mask)
        features = self.ln_final(pooled)[:, 0] @ self.text_projection
        return F.normalize(features, dim=-1) if normalize else features

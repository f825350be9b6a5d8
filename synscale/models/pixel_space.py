"""Autoencoders that change nothing, for text-to-image models small enough to work on pixels.

Diffusers' Stable Diffusion and aMUSEd pipelines run their denoiser in the latent space of an
autoencoder. At 8 x 8 pixels there is nothing to compress: these let the very same pipelines run on
the pixels.
"""

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput


class PixelAutoencoder(ModelMixin, ConfigMixin):
    """Latents are the pixels, (B, C, H, W) in -1..1; stands in for the AutoencoderKL of Stable
    Diffusion.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 1,
        block_out_channels: tuple[int, ...] = (1,),
        scaling_factor: float = 1.0,
        force_upcast: bool = False,
    ):
        super().__init__()
        self.register_buffer(
            "anchor", torch.zeros(1)
        )  # a model without any tensor has no dtype and no file to save

    def decode(self, z: torch.Tensor, return_dict: bool = True, generator=None):
        return DecoderOutput(sample=z) if return_dict else (z,)


class GreyLevelTokens(ModelMixin, ConfigMixin):
    """Tokens are grey levels, (B, H, W) of 0..levels-1; stands in for the VQModel of aMUSEd.
    Decodes to (B, 1, H, W) in 0..1.
    """

    @register_to_config
    def __init__(
        self,
        levels: int = 17,
        latent_channels: int = 1,
        block_out_channels: tuple[int, ...] = (1,),
        force_upcast: bool = False,
    ):
        super().__init__()
        self.register_buffer("anchor", torch.zeros(1))

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Tokens of pixels (B, 1, H, W) in -1..1."""
        return ((pixels[:, 0] + 1) / 2 * (self.config.levels - 1)).round().long()

    def decode(self, tokens: torch.Tensor, force_not_quantize: bool = True, shape=None):
        return DecoderOutput(
            sample=tokens.reshape(shape[:3])[:, None].float() / (self.config.levels - 1)
        )

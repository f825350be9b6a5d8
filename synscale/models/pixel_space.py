"""Autoencoders that change nothing, for text-to-image models small enough to work on pixels.

Diffusers' Stable Diffusion and aMUSEd pipelines run their denoiser in the latent space of an
autoencoder. At 8 x 8 pixels there is nothing to compress: with these, the same pipelines run on
pixels.
"""

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput


class PixelAutoencoder(ModelMixin, ConfigMixin):
    """Replaces the AutoencoderKL of Stable Diffusion: latents are pixels (B, C, H, W) in -1..1."""

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 1,
        block_out_channels: tuple[int, ...] = (1,),
        scaling_factor: float = 1.0,
        force_upcast: bool = False,
    ):
        super().__init__()
        # A model without any tensor has no dtype and no file to save.
        self.register_buffer("anchor", torch.zeros(1))

    def encode(self, x: torch.Tensor) -> AutoencoderKLOutput:
        """Return a distribution with the pixels as its only value, as AutoencoderKL.encode does.

        Parameters
        ----------
        x : Tensor, shape (B, C, H, W)
            Pixels in -1..1.
        """
        moments = torch.cat([x, torch.zeros_like(x)], dim=1)
        return AutoencoderKLOutput(DiagonalGaussianDistribution(moments, deterministic=True))

    def decode(
        self, z: torch.Tensor, return_dict: bool = True, generator=None
    ) -> DecoderOutput | tuple[torch.Tensor]:
        """Return the latents, with the parameters of AutoencoderKL.decode."""
        return DecoderOutput(sample=z) if return_dict else (z,)


class GreyLevelTokens(ModelMixin, ConfigMixin):
    """Replaces the VQModel of aMUSEd: tokens (B, H, W) are grey levels 0..levels-1.

    They are decoded to pixels (B, 1, H, W) in 0..1.
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
        """Return the tokens of pixels.

        Parameters
        ----------
        pixels : Tensor, shape (B, 1, H, W), float32
            Grey in -1..1.
        """
        return ((pixels[:, 0] + 1) / 2 * (self.config.levels - 1)).round().long()

    def decode(
        self, tokens: torch.Tensor, force_not_quantize: bool = True, shape=None
    ) -> DecoderOutput:
        """Return the pixels of tokens, with the parameters of VQModel.decode."""
        pixels = tokens.reshape(shape[:3])[:, None].float() / (self.config.levels - 1)
        return DecoderOutput(sample=pixels)

"""DeepFloyd IF as one pipeline: small images, and a second stage that makes them larger."""

from dataclasses import dataclass

from diffusers import DiffusionPipeline

from synscale.study.models.generators import Upscaler


@dataclass
class TwoStages:
    """Two pipelines with the same text embeddings and random generators.

    The generator of an image continues from the first stage to the second, so that one seed
    determines all noise of the image.

    Parameters
    ----------
    first : DiffusionPipeline
        An IFPipeline.
    upscaler : DiffusionPipeline
        An IFSuperResolutionPipeline.
    settings : Upscaler
        Size, steps, guidance scale and noise level of the second stage.
    """

    first: DiffusionPipeline
    upscaler: DiffusionPipeline
    settings: Upscaler

    @property
    def scheduler(self):
        """Scheduler of the first stage."""
        return self.first.scheduler

    def __call__(
        self,
        prompt,
        generator,
        guidance_scale,
        num_inference_steps,
        height,
        width,
        output_type,
        clean_caption,
        negative_prompt=None,
    ):
        """Sample both stages; parameters and result are those of an IFPipeline."""
        prompt_embeds, negative_prompt_embeds = self.first.encode_prompt(
            prompt, negative_prompt=negative_prompt, clean_caption=clean_caption
        )
        shared = {
            "prompt_embeds": prompt_embeds,
            "negative_prompt_embeds": negative_prompt_embeds,
            "generator": generator,
        }
        small = self.first(
            **shared,
            guidance_scale=guidance_scale,
            num_inference_steps=num_inference_steps,
            height=height,
            width=width,
            output_type="pt",
        ).images
        return self.upscaler(
            **shared,
            image=small,
            noise_level=self.settings.noise_level,
            guidance_scale=self.settings.guidance,
            num_inference_steps=self.settings.steps,
            height=self.settings.size,
            width=self.settings.size,
            output_type=output_type,
        )

"""Batches of a shard that is being generated."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from synscale.prompts import recipes
from synscale.workflow.settings.generation import GenerationSettings


@dataclass(frozen=True)
class Batch:
    """Images that are sampled together.

    Parameters
    ----------
    place : int
        Number of images of the shard before those of the batch.
    guidance : float
        Guidance scale.
    prompts : DataFrame
        Columns image (index in the source), class_id and prompt.
    """

    place: int
    guidance: float
    prompts: pd.DataFrame


def missing_batches(
    settings: GenerationSettings, pool: pd.DataFrame, finished: dict[int, int]
) -> Iterator[Batch]:
    """Yield the missing batches of a shard, scale by scale, in index order.

    Parameters
    ----------
    settings : GenerationSettings
    pool : DataFrame
        Texts of the recipe.
    finished : dict of int to int
        Place of each partial shard -> its number of images, from batches of any size.

    Yields
    ------
    Batch
    """
    begin = 0  # place of the first image of the scale
    place = 0
    for guidance, (start, stop) in settings.guidance.items():
        prompts = recipes.prompts(pool, start, stop)
        end = begin + len(prompts)
        while place < end:  # a partial shard may end within the images of the next scale
            if place in finished:
                place += finished[place]
                continue
            following = min((other for other in finished if other > place), default=end)
            last = min(place + settings.sampling.batch_size, following, end)
            yield Batch(place, guidance, prompts.iloc[place - begin : last - begin])
            place = last
        begin = end

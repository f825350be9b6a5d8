"""Keys of a study that change a result by rounding only.

Such a key changes in which order, or in how many parts, floating-point numbers are computed. In
exact arithmetic the result would be the same, and no random number depends on the key. Two results
differ as they do between two types of GPU, including the rare choice that rounding decides, such as
a token of a masked-token generator. These keys fit a job to the memory of a machine. They are
marked in the models of the study, by `Field(json_schema_extra=ROUNDING_ONLY)`, and are part neither
of the digest by which Snakemake decides what runs again, nor of the identity of saved states.

| key | effect |
|---|---|
| `micro_batch_size` of classifiers and clip | micro-batches whose gradients are added up |
| `gradient_checkpointing` of clip | activations are computed a second time |
| `batch_size` of released generators | images that are sampled together; each has its generator |
| `batch_size` of recipes by models and of the safety checker | texts or images at a time |

Not among them: `precision`, which changes the rounding of every product by a factor of 65,536
(bfloat16 has 8 significant bits, float32 has 24), and `compile`, with which random layers draw
other numbers and intermediate values in bfloat16 are no longer rounded. The `batch_size` of a
training changes the training itself.
"""

from functools import cache

from synscale.study.models.base import ROUNDING_ONLY, StrictModel
from synscale.study.models.classifiers import Training
from synscale.study.models.clip import ClipTraining
from synscale.study.models.generators import PretrainedGenerator, SafetyChecker
from synscale.study.models.recipes import ModelRecipe

# Where settings of jobs contain fields of these models: under a key, or next to a key.
SECTIONS: dict[str, tuple[type[StrictModel], ...]] = {
    "training": (Training, ClipTraining),
    "sampling": (PretrainedGenerator,),
}
NEIGHBOURS: dict[str, tuple[type[StrictModel], ...]] = {
    "recipe": (ModelRecipe,),
    "checker": (SafetyChecker,),
}


@cache
def rounding_only(*models: type[StrictModel]) -> frozenset[str]:
    """Return the names of the fields of these models that change a result by rounding only."""
    names: set[str] = set()
    for model in models:
        for name, field in model.model_fields.items():
            if field.json_schema_extra == ROUNDING_ONLY:
                names.add(name)
    return frozenset(names)


def without_rounding_only(settings: dict | list, section: str = "") -> dict | list:
    """Return the settings of a job without the keys that change its result by rounding only.

    Parameters
    ----------
    settings : dict or list
        As the functions of `jobs` return them.
    section : str
        Key that they are under, empty at the top.

    Returns
    -------
    dict or list
        A copy.
    """
    if isinstance(settings, list):
        return [_part(value, section) for value in settings]
    left_out = rounding_only(*SECTIONS.get(section, ()))
    for neighbour, models in NEIGHBOURS.items():
        if neighbour in settings:
            left_out |= rounding_only(*models)
    return {key: _part(value, key) for key, value in settings.items() if key not in left_out}


def _part(value, section: str):
    return without_rounding_only(value, section) if isinstance(value, dict | list) else value

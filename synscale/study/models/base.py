"""Base class, kinds of names and numbers, and marks that the models of a study share."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

# A name is part of paths and wildcards, so it contains no separator, dot or shell character.
NAME = r"^[a-z][a-z0-9_]*$"
Name = Annotated[str, StringConstraints(pattern=NAME)]
COMMIT = r"^[0-9a-f]{40}$"
Revision = Annotated[str, StringConstraints(pattern=COMMIT)]

Positive = Annotated[int, Field(gt=0)]
AboveZero = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]

# Backends of torch.compile: the first generates kernels, the others only test its graph capture.
Backend = Literal["inductor", "aot_eager", "eager"]

# Description of the key `skip`.
SKIP = "text file with a line for each image to skip, named as in the message about a broken image"

Mark = dict[str, JsonValue]
# Mark of a field that changes a result by rounding only.
#
# Such a key changes in which order, or in how many parts, floating-point numbers are computed. In
# exact arithmetic the result would be the same, and no random number depends on the key. Two
# results differ as they do between two types of GPU, including the rare choice that rounding
# decides, such as a token of a masked-token generator. These keys fit a job to the memory of a
# machine. They are marked in the models of the study, by `Field(json_schema_extra=ROUNDING_ONLY)`,
# and are part neither of the digest by which Snakemake decides what runs again, nor of the identity
# of saved states.
#
# | key | effect |
# |---|---|
# | `micro_batch_size` of classifiers and clip | micro-batches whose gradients are added up |
# | `gradient_checkpointing` of clip | activations are computed a second time |
# | `batch_size` of released generators | images that are sampled together; each has its generator |
# | `batch_size` of recipes by models and of the safety checker | texts or images at a time |
#
# Not among them: `precision`, which changes the rounding of every product by a factor of 65,536
# (bfloat16 has 8 significant bits, float32 has 24), and `compile`, with which random layers draw
# other numbers and intermediate values in bfloat16 are no longer rounded. The `batch_size` of a
# training changes the training itself.
ROUNDING_ONLY: Mark = {"rounding_only": True}
# Mark of a field that changes how a result is displayed, not the result.
DISPLAY_ONLY: Mark = {"display_only": True}
# Marks a key of a generator that its training does not read.
SAMPLING_ONLY: Mark = {"sampling_only": True}


def one_or_many(value: Any) -> Any:
    """Return a single value as a list of one; lists and `all` are unchanged."""
    return [value] if isinstance(value, (int, float, str)) and value != "all" else value


def is_none(value) -> bool:
    """Whether a value is None, for `exclude_if`."""
    return value is None


def is_path(name: str) -> bool:
    """Whether the name of a data set is its path; other names are in config.yaml's paths."""
    return "/" in name or name.startswith((".", "~"))


class StrictModel(BaseModel):
    """StrictModel of a study: frozen, and unknown keys, infinity and NaN are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class HubModel(StrictModel):
    """Model on the Hugging Face hub or in a folder."""

    model: str = Field(
        min_length=1,
        description="owner/name on the model hub; or a folder, whose path starts with / or .",
    )
    revision: Revision | None = Field(
        default=None,
        description="commit on the hub; without one the first fetch records hashes and later "
        "ones keep to them",
    )

    @property
    def is_folder(self) -> bool:
        """Whether the model is a folder."""
        return self.model.startswith(("/", "."))

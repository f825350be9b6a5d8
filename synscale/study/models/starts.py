"""Weights that classifiers start from: a run of the study, or released weights of timm."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from synscale.study.models.base import HubModel, Name, Positive, StrictModel, is_none

SHAPE = ("patch_size", "width", "depth", "heads", "pool")


class RunStart(StrictModel):
    """Classifier that an experiment of the study trains."""

    kind: Literal["run"] = "run"
    source: Name = Field(description="name of a source")
    guidance: float | None = Field(
        default=None, exclude_if=is_none, description="guidance scale of a synthetic source"
    )
    architecture: Name = Field(
        description="name of an architecture of classifiers, which gives the shape too"
    )
    size: Positive = Field(description="number of training images")
    seed: Annotated[int, Field(ge=0)] = Field(description="seed of the run")


class PretrainedStart(HubModel):
    """Vision transformer that timm has saved for the hub. The shape must be given, and is checked.

    Its position embedding is resampled for another image size. Its mean and standard deviation of
    pixels become part of its first layer.
    """

    kind: Literal["pretrained"] = "pretrained"


def _kind(value: Any) -> str:
    model = "model" in value if isinstance(value, dict) else hasattr(value, "model")
    return "pretrained" if model else "run"


Start = Annotated[
    Annotated[RunStart, Tag("run")] | Annotated[PretrainedStart, Tag("pretrained")],
    Discriminator(_kind),
]


def _error(text: str) -> PydanticCustomError:
    """Return an error whose text begins with the key inside that of the validated value."""
    return PydanticCustomError("inner_key", "{text}", {"text": text})


def _row(rows: dict, name: Any) -> dict | None:
    row = rows.get(name) if isinstance(name, str) else None
    return row if isinstance(row, dict) else None


def _origin(row: dict) -> Any:
    """Return the architecture of the run that a row starts from; None if it starts from none."""
    start = row.get("start")
    return start.get("architecture") if isinstance(start, dict) else None


def with_shapes(rows: Any) -> Any:
    """Return architectures of a study file, those that start from a run with its shape.

    Parameters
    ----------
    rows : dict
        Name -> keys of the architecture, as in the file. Other values are returned unchanged.

    Raises
    ------
    PydanticCustomError
        If the run has an unknown architecture, if architectures start from each other, or if a
        row that starts from a run has a shape.
    """
    if not isinstance(rows, dict):
        return rows
    shaped = dict(rows)
    for name in rows:
        row = _row(rows, name)
        if row is None or _origin(row) is None:
            continue
        if given := [key for key in SHAPE if key in row]:
            raise _error(f"{name}.{given[0]}: that of the run it starts from; remove the key")
        shaped[name] = row | _shape_of_origin(rows, name)
    return shaped


def _shape_of_origin(rows: dict, first: str) -> dict:
    """Return the shape of the first architecture in a chain of starts."""
    row, seen = rows[first], [first]
    while (origin := _origin(row)) is not None:
        key = f"{seen[-1]}.start.architecture = {origin!r}"
        if origin in seen:
            raise _error(
                f"{key}: starts from itself ({' from '.join([*seen, origin])}); name a run of "
                "another architecture"
            )
        if (row := _row(rows, origin)) is None:
            known = ", ".join(name for name in rows if name != seen[-1])
            raise _error(f"{key}: no such architecture; use one of: {known}")
        seen.append(origin)
    return {key: row[key] for key in SHAPE if key in row}

"""Settings of each job: everything that its result depends on.

A rule's digest of them is in its `params`, so a job runs again if its own settings change, and only
then. Each rule has a frozen dataclass with this base and a function of the study that creates it.
"""

import hashlib
import json
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, ClassVar

from pydantic import BaseModel

from synscale.study.models.base import DISPLAY_ONLY, ROUNDING_ONLY

IGNORED = (ROUNDING_ONLY, DISPLAY_ONLY)


def identity_of(value: Any, ignored: tuple[dict, ...] = IGNORED) -> Any:
    """Return a value as JSON types, without what does not change a result.

    Left out are fields of pydantic models that carry one of the marks `ignored`, and fields of
    models and dataclasses that have their default value: so a new field changes no digest.

    Parameters
    ----------
    value : dataclass, BaseModel, dict, list, tuple, str, int, float, bool or None
    ignored : tuple of dict
        Values of `json_schema_extra`.
    """
    if is_dataclass(value):
        return {
            field.name: identity_of(getattr(value, field.name), ignored)
            for field in fields(value)
            if field.default is MISSING or getattr(value, field.name) != field.default
        }
    if isinstance(value, BaseModel):
        return {
            name: identity_of(getattr(value, name), ignored)
            for name, field in type(value).model_fields.items()
            if field.json_schema_extra not in ignored
            and (field.is_required() or getattr(value, name) != field.get_default())
        }
    if isinstance(value, dict):
        return {str(key): identity_of(item, ignored) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [identity_of(item, ignored) for item in value]
    return value


def as_json(value: Any, ignored: tuple[dict, ...] = IGNORED) -> str:
    """Return the identity of a value as text, such as for the identity of a saved state.

    Parameters
    ----------
    value : object
        Settings, or a model of the study.
    ignored : tuple of dict, optional
        Marks of fields that are left out.
    """
    return json.dumps(identity_of(value, ignored), sort_keys=True)


@dataclass(frozen=True)
class Settings:
    """Base of the settings of a job."""

    ignored: ClassVar[tuple[dict, ...]] = IGNORED

    def digest(self) -> str:
        """Return 16 hex digits for what the result of a job depends on, other than by rounding."""
        return hashlib.sha256(as_json(self, self.ignored).encode()).hexdigest()[:16]

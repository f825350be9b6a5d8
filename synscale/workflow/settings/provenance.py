"""Settings of the job that writes the provenance of a study: the complete study."""

from dataclasses import dataclass
from typing import ClassVar

from synscale.study.models import Study
from synscale.study.models.base import ROUNDING_ONLY
from synscale.workflow.settings import Settings


@dataclass(frozen=True)
class ProvenanceSettings(Settings):
    """Every setting of a study, also those that only change what is displayed."""

    ignored: ClassVar[tuple[dict, ...]] = (ROUNDING_ONLY,)

    study: Study


def provenance_settings(study: Study) -> ProvenanceSettings:
    """Return the settings of the provenance of a study."""
    return ProvenanceSettings(study)

"""Settings of the jobs that evaluate the checkpoints of the paper's authors."""

from synscale.study.models import Study
from synscale.workflow import targets
from synscale.workflow.settings.evaluation import clip_evaluation_settings, evaluation_settings


def conversion_settings(study: Study, released: str) -> dict:
    return {"name": released, "kind": study.released[released].kind}


def released_settings(study: Study, released: str) -> dict:
    """As of a group with one run, whose size is what the model is trained on and whose seed nobody
    told.
    """
    own = study.released[released]
    judged = clip_evaluation_settings if own.kind == "clip" else evaluation_settings
    run = {
        "name": released,
        "source": released,
        "guidance": None,
        "architecture": own.kind,
        "size": own.images,
        "seed": None,
    }
    return judged(study, released, own.kind) | {"runs": [run], "kind": own.kind}


def released_table_settings(study: Study) -> dict:
    """Raises NotInStudy where the study has no released models."""
    if not study.released:
        raise targets.NotInStudy(
            f"{study.title}: the study has no released models: add released, with kind, file and images of each, to its file"
        )
    return {
        "released": {name: own.model_dump(exclude={"file"}) for name, own in study.released.items()}
    }

"""Settings of the jobs that evaluate the checkpoints of the paper's authors."""

from synscale.study.models import Study
from synscale.workflow import targets
from synscale.workflow.settings.evaluation import clip_evaluation_settings, evaluation_settings


def conversion_settings(study: Study, checkpoint: str) -> dict:
    return {"name": checkpoint, "kind": study.author_checkpoints[checkpoint].kind}


def author_checkpoint_settings(study: Study, checkpoint: str) -> dict:
    """As of a group with one run, whose size is what the model is trained on and whose seed nobody
    told.
    """
    own = study.author_checkpoints[checkpoint]
    judged = clip_evaluation_settings if own.kind == "clip" else evaluation_settings
    run = {
        "name": checkpoint,
        "source": checkpoint,
        "guidance": None,
        "architecture": own.kind,
        "size": own.images,
        "seed": None,
    }
    return judged(study, checkpoint, own.kind) | {"runs": [run], "kind": own.kind}


def author_checkpoint_table_settings(study: Study) -> dict:
    """Raises NotInStudy where the study has no author checkpoints."""
    if not study.author_checkpoints:
        raise targets.NotInStudy(
            f"{study.title}: the study has no author_checkpoints; add them, with kind, file and images of each"
        )
    return {
        "author_checkpoints": {
            name: own.model_dump(exclude={"file"}) for name, own in study.author_checkpoints.items()
        }
    }

"""The studies of a run of Snakemake, and the decorator of the functions that rules call.

`configure` sets the studies once, so that inputs, digests and resources are tested without
Snakemake.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path

from snakemake.common import overwrite_function_params
from snakemake.exceptions import WorkflowError

from synscale.study import overrides
from synscale.study.load import StudyError
from synscale.study.models import Study
from synscale.workflow import shared_images, targets

DEFAULT = "default study"  # key of the study of jobs that have no wildcard `study`
_STUDIES: dict[str, Study] = {}
_CHECKS: list[Callable[[Study], None]] = []


def load_all(config: dict) -> dict[str, Study]:
    """Load every study of studies/ by name. Raise one StudyError that lists all problems.

    Parameters
    ----------
    config : dict
        Content of config.yaml: `study` must exist, `override` changes studies.
    """
    changes = overrides.read(config.get("override"))
    studies, problems = {}, []
    for path in sorted(Path("studies").glob("*.yaml")):
        try:
            studies[path.stem] = overrides.load(path, changes)
        except StudyError as error:
            problems.append(str(error))
    if config["study"] not in studies and not problems:
        known = ", ".join(studies) or "none"
        where = f"config.yaml: study = {config['study']!r}"
        problems.append(f"{where}: no studies/{config['study']}.yaml; known: {known}")
    problems = problems or list(shared_images.shared_image_errors(studies))
    if problems:
        raise StudyError("\n".join(problems))
    return studies


def configure(
    studies: dict[str, Study], default: str, check: Callable[[Study], None] | None = None
) -> None:
    """Set the studies that rules refer to.

    Parameters
    ----------
    studies : dict of str to Study
        The studies by name.
    default : str
        Name of the study of jobs that have no wildcard `study`.
    check : callable, optional
        Called with the study of each job; raises WorkflowError if the job cannot run here.
    """
    _STUDIES.clear()
    _STUDIES.update(studies)
    _STUDIES[DEFAULT] = studies[default]
    _CHECKS[:] = [check] if check else []


def study_of(wildcards) -> Study:
    """Return the study of a job. Raise NotInStudy if it lacks a part that a wildcard names."""
    study = _STUDIES[getattr(wildcards, "study", DEFAULT)]
    targets.check(study, wildcards)
    for check in _CHECKS:
        check(study)
    return study


def study_input(function: Callable) -> Callable:
    """Turn `function(study, wildcards, ...)` into a function of `wildcards, ...` for a rule.

    The study is looked up and the wildcards are checked. NotInStudy becomes a WorkflowError, which
    Snakemake prints without a traceback.
    """

    @wraps(function)
    def of_wildcards(wildcards, **context):
        try:
            return function(study_of(wildcards), wildcards, **context)
        except targets.NotInStudy as error:
            raise WorkflowError(str(error)) from None

    parameters = dict(inspect.signature(function).parameters)
    del parameters["study"]
    overwrite_function_params(of_wildcards, parameters)
    return of_wildcards


def keep_parameters(*functions: Callable) -> None:
    """Let Snakemake find the parameters of functions without inspecting them.

    It asks for them at every call, and an inspection takes longer than most calls.
    """
    for function in functions:
        overwrite_function_params(function, inspect.signature(function).parameters)

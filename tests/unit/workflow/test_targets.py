"""Targets that name parts which their study does not have."""

from types import SimpleNamespace

import pytest

from synscale.study.load import load_study
from synscale.workflow import targets
from synscale.workflow.paths import pipeline_folder
from synscale.workflow.settings.generation import (
    checker_settings,
    fetch_settings,
    generator_settings,
)
from tests.support.workflow import SMOKE, Workflow


@pytest.mark.parametrize(("wildcard", "key"), targets.PARTS.items())
def test_unknown_name_is_reported_with_known_names(wildcard, key):
    study = load_study(SMOKE)
    known = getattr(study, key)
    for name in known:
        targets.check(study, SimpleNamespace(**{wildcard: name}))
    others = f"known: {', '.join(known)}" if known else "the study defines none"
    problem = rf"studies/smoke.yaml: no {wildcard} 'nope'; add {key}.nope to it; {others}$"
    with pytest.raises(targets.NotInStudy, match=problem):
        targets.check(study, SimpleNamespace(**{wildcard: "nope"}))


def test_suggestion_shortens_a_long_list():
    names = [f"{number:05d}" for number in range(2000)]
    hint = targets.suggestion("02000", names)
    assert hint.startswith("did you mean '0")
    assert hint.endswith(" and 1,988 more up to 01999")
    assert len(hint) < 200


def test_target_obtained_another_way_is_reported_with_its_path(workflow: Workflow):
    released = f"{{kind: pretrained, model: a/b, revision: {'a' * 40}, size: 16, steps: 1}}"
    workflow.edit("  masked:", f"  released: {released}\n  masked:")
    study = load_study(workflow.study)
    with pytest.raises(targets.NotInStudy, match=r"diffusion: is trained .*request generators/"):
        fetch_settings(study, "diffusion")
    with pytest.raises(targets.NotInStudy, match=r"released: is downloaded.*request models/"):
        generator_settings(study, "released")
    with pytest.raises(targets.NotInStudy, match=r"sources\.real: is not generated \(kind 'real'"):
        pipeline_folder(study, "real")
    with pytest.raises(targets.NotInStudy, match="the study has no safety checker; add safety_ch"):
        checker_settings(study)

"""Targets asked for by hand that name what their study does not have."""

from types import SimpleNamespace

import pytest

from scripts.lib import jobs, targets
from scripts.lib.study_file import load
from tests.support.workflow import SMOKE, Workflow


@pytest.mark.parametrize(("wildcard", "key"), targets.PARTS.items())
def test_a_name_that_the_study_does_not_have_is_told_with_those_that_it_has(wildcard, key):
    study = load(SMOKE)
    known = getattr(study, key)
    for name in known:
        targets.check("smoke", study, SimpleNamespace(**{wildcard: name}))
    others = f", or use one of: {', '.join(known)}" if known else ""
    with pytest.raises(targets.NotInStudy, match=rf"studies/smoke.yaml has no {wildcard} 'nope': add {key}.nope{others}$"):
        targets.check("smoke", study, SimpleNamespace(**{wildcard: "nope"}))


def test_what_is_made_another_way_is_told_with_its_path(workflow: Workflow):
    workflow.edit("  masked:", "  released: {kind: pretrained, model: a/b, revision: " + "a" * 40 + ", size: 16, steps: 1}\n  masked:")
    study = load(workflow.study)
    with pytest.raises(targets.NotInStudy, match=r"generators\.diffusion is trained here, not fetched: ask for generators/diffusion"):
        jobs.fetch_settings(study, "diffusion")
    with pytest.raises(targets.NotInStudy, match=r"sources\.real is of kind 'real'"):
        jobs.pipeline_folder("smoke", study, "real")
    with pytest.raises(targets.NotInStudy, match="the study has no safety checker: add safety_checker"):
        jobs.checker_settings(study)
    told = workflow.dry_run("results/smoke/generators/released", check=False)
    assert "generators.released is released by others, not trained here: ask for models/released instead of generators/released" in told
    assert "studies/smoke.yaml has no source 'nope'" in workflow.dry_run("results/smoke/images/nope/00000.tar", check=False)

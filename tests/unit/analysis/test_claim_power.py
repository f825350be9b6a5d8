"""Simulated power of the tests of claims."""

import numpy as np
import pytest

from scripts import claim_power as command
from synscale.analysis import claim_power
from synscale.analysis.claim_power import Noise
from synscale.study.load import load_study
from tests.support.workflow import SMOKE, STUDIES

QUIET = Noise(seed=1e-4, size=1e-4, class_k=0.01)


@pytest.fixture(scope="module")
def digits():
    return load_study(STUDIES["digits"])


def test_large_effects_are_found(digits):
    table = claim_power.power(digits, [2.0], 1, QUIET).set_index("claim")
    assert table["holds"].all() and not table["does_not_hold"].any()


def test_no_effect_supports_no_claim(digits):
    table = claim_power.power(digits, [0.0], 2, Noise())
    assert not table["holds"].any()


def test_claims_without_their_keys_have_no_row(digits):
    claims = digits.tables.claims
    clip = [name for name in type(claims).model_fields if name.startswith("clip_")]
    without = dict.fromkeys([*clip, "guidance", "recipes", "generators", "ood_laws"])
    tables = digits.tables.model_copy(update={"claims": claims.model_copy(update=without)})
    study = digits.model_copy(update={"tables": tables})
    table = claim_power.power(study, [2.0], 1, QUIET)
    assert table["claim"].str.startswith("Supervised").all()
    assert table["claim"].str.contains("scale much worse").any()


def test_simulation_follows_the_seed(digits):
    first, again, other = (
        claim_power.simulate(digits, 1.0, Noise(), np.random.default_rng(seed))[0]["log_loss"]
        for seed in (0, 0, 1)
    )
    assert (first == again).all() and (first != other).any()


def test_command_prints_a_column_for_each_effect(digits, capsys, monkeypatch):
    monkeypatch.setattr(command, "EFFECTS", (0.0, 3.0))
    command.main(["--study", str(STUDIES["digits"]), "--times", "1"])
    printed = capsys.readouterr().out
    assert "0 margins" in printed and "3 margins" in printed
    assert printed.count("The guidance scale matters to scaling") == 1


def test_study_without_claims_is_refused(tmp_path, monkeypatch):
    study = load_study(SMOKE)
    without = study.model_copy(update={"tables": study.tables.model_copy(update={"claims": None})})
    monkeypatch.setattr(command, "load_study", lambda path: without)
    with pytest.raises(SystemExit, match=r"tables\.claims: missing"):
        command.main(["--study", "smoke.yaml"])

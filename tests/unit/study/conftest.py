"""Fixtures of the tests of studies."""

import pytest

from tests.support.workflow import ROOT


@pytest.fixture
def project_folder(monkeypatch):
    """Run a test in the project's folder, as paths in studies are relative to it."""
    monkeypatch.chdir(ROOT)
    return ROOT

"""Errors of the smoke study after changes of its text."""

from pathlib import Path

import pytest

from synscale.study.load import StudyError, load_study
from tests.support.workflow import SMOKE


def study_errors(folder: Path, *changes: tuple[str, str]) -> list[str]:
    """Return the lines of the error that the smoke study causes, without the file.

    Parameters
    ----------
    folder : Path
        Where the changed study is written.
    *changes : tuple of str
        Old and new text.
    """
    text = SMOKE.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    path = folder / "bad.yaml"
    path.write_text(text)
    with pytest.raises(StudyError) as error:
        load_study(path)
    lines = str(error.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def assert_errors(folder: Path, old: str, new: str, messages: list[str]) -> None:
    """Assert that a change of the smoke study causes an error with each of these messages."""
    text = "\n".join(study_errors(folder, (old, new)))
    for message in messages:
        assert message in text

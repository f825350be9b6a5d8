"""What the tests of this folder share."""

import pytest

from synscale.data.datasets import DataSet
from tests.support import fake_datasets as fake
from tests.support.fake_datasets import WNIDS
from tests.support.interrupted import Killed


@pytest.fixture
def a_set(tmp_path, monkeypatch):
    """A function that makes a DataSet of three classes, whose place is the folder `data`."""
    table = fake.class_table(tmp_path / "classes.csv", WNIDS)

    def make(place=None, **changes):
        monkeypatch.setenv("DATA_THINGS", str(place or tmp_path / "data"))
        known = {
            "name": "things",
            "split": "training.things",
            "table": str(table),
            "training": True,
        }
        return DataSet(**(known | changes))

    make.folder = tmp_path / "data"
    return make


@pytest.fixture
def kill_after(monkeypatch):
    """A function that makes a training save its state after every step and stop after `steps`,
    once.
    """
    from synscale.training import checkpoint

    def arm(steps: int):
        save = checkpoint.TrainingCheckpoint.save

        def save_and_die(self, step):
            save(self, step)
            if step == steps:
                monkeypatch.undo()
                raise Killed

        monkeypatch.setattr(checkpoint.TrainingCheckpoint, "due", property(lambda self: True))
        monkeypatch.setattr(checkpoint.TrainingCheckpoint, "save", save_and_die)

    return arm

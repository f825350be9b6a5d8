"""The time left that a run prints."""

import logging
from collections import defaultdict
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from synscale.planning import time_left
from synscale.runtime import time_left as clock
from tests.support.planning import DIGITS
from tests.support.workflow import ROOT


@pytest.fixture
def now(monkeypatch):
    """A clock that a test sets."""
    value = [0.0]
    monkeypatch.setattr(clock.time, "monotonic", lambda: value[0])
    return value


def record(event: LogEvent, **fields) -> logging.LogRecord:
    return logging.makeLogRecord({"event": event} | fields)


def finish(handler: time_left.TimeLeft, number: int) -> None:
    handler.handle(record(LogEvent.JOB_FINISHED, job_id=number))
    handler.handle(record(LogEvent.PROGRESS, done=1, total=3))


def test_run_prints_the_time_left_by_planned_seconds(now, capsys):
    handler = time_left.TimeLeft(lambda: {1: 10.0, 2: 30.0, 3: 40.0, 4: 0.0})
    now[0] = 1000.0  # planning ends
    handler.handle(record(LogEvent.RUN_INFO))
    now[0] += 20  # the machine is half as fast as planned
    finish(handler, 1)
    now[0] += 60
    finish(handler, 2)
    now[0] += 80
    finish(handler, 3)
    assert capsys.readouterr().err.splitlines() == [
        "12% of the planned work, about 2 min left",
        "50% of the planned work, about 80 s left",
    ]


def test_run_without_planned_speeds_prints_nothing(capsys):
    handler = time_left.TimeLeft(dict)
    finish(handler, 1)
    assert capsys.readouterr().err == ""


class Job(SimpleNamespace):
    """A job of Snakemake."""

    __hash__ = object.__hash__


class OneJob:
    """A graph of Snakemake with one job, which is left to do."""

    def __init__(self, rule: str):
        row = {"study": "digits", "law": "clip"}
        self.jobs = [
            Job(
                rule=SimpleNamespace(name=rule, norun=False, resources={}),
                wildcards_dict=row,
                resources={},
                threads=1,
                benchmark=None,
                jobid=7,
            )
        ]
        self.dependencies = defaultdict(list)
        self.workflow = SimpleNamespace(_localrules=set())

    def needrun_jobs(self, exclude_finished: bool):
        return self.jobs


def test_jobs_are_planned_by_their_number(monkeypatch):
    monkeypatch.chdir(ROOT)
    planned = time_left.seconds_of_jobs(OneJob("fit_laws"), {"digits": DIGITS}, "laptop")
    assert planned.keys() == {7}
    assert planned[7] > 1
    assert time_left.seconds_of_jobs(OneJob("paint"), {"digits": DIGITS}, "laptop") == {}

"""Jobs that save and requeue themselves before their SLURM allocation ends, with programs in the
place of squeue and scontrol.
"""

import json
import time

import pytest

from synscale.cluster import allocation
from tests.support import fake_slurm
from tests.support.fake_slurm import allocated


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("59", 59),
        ("1:02", 62),
        ("03:04:05", 11045),
        ("2-00:00:00", 172800),
        ("1-02:03:04", 93784),
        ("UNLIMITED", None),
        ("NOT_SET", None),
        ("", None),
    ],
)
def test_seconds_reads_what_squeue_prints(text, expected):
    assert allocation.seconds(text) == expected


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    forget = allocation.current.cache_clear
    yield fake_slurm.job(tmp_path / "bin", monkeypatch)
    forget()


def test_current_asks_squeue(slurm):
    slurm("squeue", 'echo "10:00|2:00:00"')
    current = allocation.current()
    assert current.length == 7200
    assert current.end == pytest.approx(time.monotonic() + 600, abs=5)


def test_current_prefers_times_of_newer_slurm(slurm, monkeypatch):
    slurm("squeue", "exit 1")
    monkeypatch.setenv("SLURM_JOB_START_TIME", str(int(time.time()) - 100))
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + 500))
    current = allocation.current()
    assert (current.length, current.end) == (600, pytest.approx(time.monotonic() + 500, abs=5))


def test_current_without_limit_or_squeue_is_none(slurm, capsys):
    slurm("squeue", 'echo "UNLIMITED|UNLIMITED"')
    assert allocation.current() is None
    assert not capsys.readouterr().out
    allocation.current.cache_clear()
    slurm("squeue", "exit 1")
    assert allocation.current() is None
    assert "squeue does not report its time limit" in capsys.readouterr().out


def test_job_of_someone_else_is_not_requeued(slurm, monkeypatch):
    """A `snakemake` inside an allocation, whose local jobs inherit its SLURM_JOB_ID."""
    slurm("squeue", 'echo "1|60"')
    monkeypatch.delenv(allocation.PERMISSION)
    assert allocation.current() is None


def test_margin_grows_with_saves_and_steps(slurm, monkeypatch):
    long, short = allocated(48 * 3600, 3600), allocated(120, 60)
    assert long.margin() == 300
    assert short.margin() == 12
    assert long.margin(save=50, step=20) == 300 + 150 + 40
    assert long.ends(save=1200) and not long.ends(save=1000)
    monkeypatch.setenv(allocation.MARGIN_SETTING, "45")
    assert short.margin() == long.margin() == 45


def test_margin_for_saves_is_at_most_half_of_the_limit():
    assert allocated(120, 60).margin(save=100, step=100) == 12 + 60


@pytest.mark.parametrize("setting", ["120", "-1", "soon"])
def test_margin_setting_must_be_below_the_limit(slurm, monkeypatch, setting):
    monkeypatch.setenv(allocation.MARGIN_SETTING, setting)
    with pytest.raises(
        SystemExit,
        match=f"REQUEUE_MARGIN must be shorter than the time limit .{setting}, expected 0 to 120 s",
    ):
        allocated(120, 60).margin()


def test_job_saves_before_it_is_requeued(slurm, tmp_path):
    record, order = tmp_path / "state/requeued.json", tmp_path / "order"
    slurm("scontrol", f'echo "$@" >> {order}')
    with pytest.raises(
        SystemExit, match="did not requeue it"
    ):  # a real SLURM would have ended this process
        allocated(60, 5).continue_later(record, 3, lambda: order.write_text("save\n"), 6)
    assert order.read_text() == "save\nrequeue 7\n"
    assert json.loads(record.read_text()) == {"done": 3, "margin": 6, "saved": True}


def test_refused_requeue_reports_what_scontrol_printed(slurm, tmp_path):
    slurm("scontrol", "echo Requested operation is presently disabled >&2; exit 1")
    with pytest.raises(SystemExit, match=r"is presently disabled.*slurm-requeue: true"):
        allocated(60, 5).continue_later(tmp_path / "requeued.json", 3, lambda: None, 6)


def test_job_without_progress_is_not_requeued_again(slurm, tmp_path):
    record, calls = tmp_path / "requeued.json", tmp_path / "calls"
    slurm("scontrol", f"echo called >> {calls}")
    for done in (3, 4):
        with pytest.raises(SystemExit, match="did not requeue it"):
            allocated(60, 5).continue_later(record, done, lambda: None, 6)
    with pytest.raises(
        SystemExit, match=r"no progress since the last allocation \(at 4, expected more than 4\)"
    ):
        allocated(60, 5).continue_later(record, 4, lambda: None, 6)
    assert calls.read_text() == "called\n" * 2
    assert not record.exists()  # the next attempt of Snakemake begins without it


def test_save_that_outlived_its_margin_needs_a_longer_one(slurm, tmp_path):
    def killed():
        raise KeyboardInterrupt

    record = tmp_path / "requeued.json"
    slurm("scontrol", "true")
    with pytest.raises(KeyboardInterrupt):
        allocated(60, 5).continue_later(record, 3, killed, 6)
    with pytest.raises(
        SystemExit, match=r"ended while the state was being saved \(margin 6 s.*set REQUEUE_MARGIN"
    ):
        allocated(60, 5).continue_later(record, 9, lambda: None, 6)
    with pytest.raises(KeyboardInterrupt):
        allocated(60, 5).continue_later(record, 3, killed, 6)
    with pytest.raises(SystemExit, match="did not requeue it"):
        allocated(60, 5).continue_later(record, 9, lambda: None, 7)

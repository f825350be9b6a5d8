"""The prepared run on a GPU: its record, its time limits, and the packages that it brings along."""

import ast
import json
import os
import signal
import sys
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks import on_gpu, on_gpu_wheels, study_on_gpu
from benchmarks.on_gpu import Part
from tests.support.workflow import ROOT

LOCK = """torch==2.13.0 \\
    --hash=sha256:aa
nvidia-cublas==13.1 \\
    --hash=sha256:bb
open-clip-torch==3.3.0 \\
    --hash=sha256:cc
pandas==3.1.1 \\
    --hash=sha256:dd
ruff==0.15 \\
    --hash=sha256:ee
"""


def python(name: str, statement: str, share: float = 1) -> Part:
    """Return a part that executes a statement."""
    command = ("timeit", "-n1", "-r1", statement)
    return Part(name, share, command, command)


WRITES = "import pathlib; pathlib.Path(r'{results}/numbers.json').write_text('1')"
FAILS = "import pathlib; raise ValueError('no kernel for this GPU')"
SLEEPS = "import time; time.sleep(60)"


def record(folder: Path) -> dict:
    return json.loads((folder / on_gpu.RECORD).read_text(encoding="utf-8"))["parts"]


def test_failed_part_does_not_stop_the_next(tmp_path):
    parts = [python("first", FAILS), python("second", WRITES)]
    on_gpu.measure(parts, tmp_path, 60)
    first, second = record(tmp_path).values()
    assert first["state"] == "failed"
    assert "no kernel for this GPU" in first["output_tail"]
    assert (second["state"], second["files"]) == ("done", ["numbers.json"])


def test_record_is_written_after_every_part(tmp_path):
    counts = "import pathlib; print('parts:', pathlib.Path(r'{results}/on_gpu.json').read_text())"
    parts = [python("first", FAILS), python("second", counts), python("third", counts)]
    on_gpu.measure(parts, tmp_path, 60)
    tails = [row["output_tail"] for row in record(tmp_path).values()]
    assert '"first": {' in tails[1] and '"second": {' not in tails[1]
    assert '"second": {' in tails[2]


def test_part_is_cut_off_at_its_share_of_the_time(tmp_path):
    parts = [python("first", SLEEPS), python("second", WRITES, share=4)]
    on_gpu.measure(parts, tmp_path, 10)
    first, second = record(tmp_path).values()
    assert (first["state"], first["limit"]) == ("cut off", pytest.approx(2, abs=0.2))
    assert second["state"] == "done"


def test_time_that_a_part_does_not_need_is_left_to_the_next(tmp_path):
    parts = [python("first", "pass"), python("second", "pass")]
    on_gpu.measure(parts, tmp_path, 100)
    first, second = record(tmp_path).values()
    assert first["limit"] == pytest.approx(50, abs=1)
    assert second["limit"] > 80


def test_parts_after_the_last_second_are_recorded(tmp_path):
    on_gpu.measure([python("first", WRITES)], tmp_path, 0.5)
    assert record(tmp_path)["first"]["state"] == "no time left"
    assert not (tmp_path / "numbers.json").exists()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended may wait for its parent."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up on Linux")
def test_processes_of_a_part_end_with_it(tmp_path):
    starts = (
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "pathlib.Path(r'{results}/pid').write_text(str(child.pid))\n"
        "time.sleep(60)"
    )
    on_gpu.measure([python("first", starts)], tmp_path, 3)
    pid = int((tmp_path / "pid").read_text())
    end = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    try:
        assert not is_alive(pid)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_script_imports_the_standard_library_only():
    """It installs the other packages itself."""
    for node in ast.walk(ast.parse((ROOT / "benchmarks/on_gpu.py").read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def wheel(folder: Path, size: int = 0) -> Path:
    """Write a wheel with a module `probe_of_on_gpu`."""
    folder.mkdir(exist_ok=True)
    path = folder / "probe_of_on_gpu-1.0-py3-none-any.whl"
    info = "probe_of_on_gpu-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("probe_of_on_gpu.py", "VALUE = 7\n")
        archive.writestr("filler", bytes(size))
        name = "Metadata-Version: 2.1\nName: probe-of-on-gpu\nVersion: 1.0\n"
        archive.writestr(f"{info}/METADATA", name)
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{info}/WHEEL", tags)
        archive.writestr(f"{info}/RECORD", "")
    return path


def test_parts_import_packages_of_the_wheels(tmp_path):
    pytest.importorskip("pip")
    wheel(tmp_path / "wheels")
    executable = on_gpu.with_wheels(tmp_path / "wheels", tmp_path / "site")
    imports = "import probe_of_on_gpu, yaml; print('value', probe_of_on_gpu.VALUE)"
    # As a job of the workflow, which calls `python` without PYTHONPATH.
    job = f"import subprocess; subprocess.run(['python', '-I', '-c', {imports!r}], check=True)"
    on_gpu.measure([python("first", job)], tmp_path / "results", 60, executable)
    assert "value 7" in record(tmp_path / "results")["first"]["output_tail"]


def test_folder_without_wheels_is_reported(tmp_path):
    with pytest.raises(SystemExit, match="no wheel in it; collect them"):
        on_gpu.with_wheels(tmp_path, tmp_path / "site")


def test_only_packages_that_the_machine_lacks_are_collected():
    assert on_gpu_wheels.missing(LOCK, "") == ["open-clip-torch==3.3.0", "pandas==3.1.1"]
    assert on_gpu_wheels.missing(LOCK, "pandas==2.0\nOpen_Clip_Torch") == []


def test_wheels_are_those_of_the_other_machine(tmp_path):
    words = on_gpu_wheels.download("a==1", tmp_path, "3.12")
    assert words[words.index("--python-version") + 1] == "3.12"
    assert "manylinux_2_28_x86_64" in words
    assert words[-1] == "a==1"
    assert not any("://" in word for word in words)  # the registry is that of pip's settings


def test_package_without_a_wheel_is_built_or_reported(tmp_path, monkeypatch):
    """Commands that only write files stand for those of pip."""

    def fails(*_):
        return [sys.executable, "-c", "raise SystemExit('no such package')"]

    def writes(name: str):
        return lambda *_: [sys.executable, "-c", f"open(r'{tmp_path}/{name}', 'w')"]

    monkeypatch.setattr(on_gpu_wheels, "download", fails)
    monkeypatch.setattr(on_gpu_wheels, "build", fails)
    with pytest.raises(SystemExit, match=r"a==1: cannot be downloaded \(no such package\)"):
        on_gpu_wheels.collect(["a==1"], tmp_path, "3.12")
    monkeypatch.setattr(on_gpu_wheels, "build", writes("a-1-py3-none-any.whl"))
    on_gpu_wheels.collect(["a==1"], tmp_path, "3.12")
    monkeypatch.setattr(on_gpu_wheels, "build", writes("a-1-cp311-cp311-linux_x86_64.whl"))
    with pytest.raises(SystemExit, match="was built for this machine"):
        on_gpu_wheels.collect(["a==1"], tmp_path, "3.12")


def test_too_many_wheels_are_reported(tmp_path):
    wheel(tmp_path, size=2 * 2**20)
    assert on_gpu_wheels.check_size(tmp_path) > 2 * 2**20
    with pytest.raises(SystemExit, match=r"too large \(2 MiB, expected at most 1\).*probe_of_on"):
        on_gpu_wheels.check_size(tmp_path, 2**20)


def test_jobs_of_a_rule_are_added_up(tmp_path):
    for name, seconds in (("score/a", 2.0), ("score/b", 4.0), ("plot_teaser", 1.0)):
        path = tmp_path / f"{name}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"s\tcpu_time\n{seconds}\t1.0\n")
    assert study_on_gpu.job_rows(tmp_path) == [
        {"rule": "score", "jobs": 2, "s a job": 3.0, "s of all": 6.0},
        {"rule": "plot_teaser", "jobs": 1, "s a job": 1.0, "s of all": 1.0},
    ]


def test_jobs_of_the_study_ask_for_gpus(tmp_path):
    (tmp_path / "run").mkdir()
    study_on_gpu.write_workflow(tmp_path / "run", ROOT / "studies/digits.yaml", 1)
    assert "\ngpus: 1\n" in (tmp_path / "run/studies/digits.yaml").read_text()
    (tmp_path / "other.yaml").write_text("title: Without GPUs\n")
    (tmp_path / "other").mkdir()
    with pytest.raises(SystemExit, match="0 lines start with 'gpus:'"):
        study_on_gpu.write_workflow(tmp_path / "other", tmp_path / "other.yaml", 1)


@pytest.mark.slow
@pytest.mark.parametrize("part", [part.name for part in on_gpu.PARTS])
def test_every_part_runs_on_a_cpu_at_tiny_size(tmp_path, part):
    on_gpu.main(["--tiny", "--results", str(tmp_path), "--parts", part])
    row = record(tmp_path)[part]
    assert row["state"] == "done", row["output_tail"]
    assert row["files"]

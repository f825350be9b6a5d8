"""How `make` installs the packages of the lock: hashes, registries, pip, a moved checkout."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from envs import install, lock
from tests.support.workflow import ROOT

UV = Path(sys.executable).with_name("uv")
OTHER = "a" * 64


@pytest.fixture
def wheel(tmp_path) -> Path:
    """A wheel of a package `torch` without content that requires two packages."""
    path = tmp_path / "torch-9.0+cpu-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("torch/__init__.py", "")
        metadata = "Metadata-Version: 2.1\nName: torch\nVersion: 9.0+cpu\n"
        required = "Requires-Dist: filelock\nRequires-Dist: Nvidia_CUBLAS>=1; sys_platform == 'x'\n"
        archive.writestr("torch-9.0+cpu.dist-info/METADATA", metadata + required)
        archive.writestr("torch-9.0+cpu.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("torch-9.0+cpu.dist-info/RECORD", "")
    return path


def lock_of(*hashes: str) -> str:
    lines = " \\\n".join(["torch==9.0", *(f"    --hash=sha256:{each}" for each in hashes)])
    entry = f" \\\n    --hash=sha256:{OTHER}\n"
    before, after = f"timm==1{entry}", f"torchvision==9{entry}"
    return f"# head\n{before}{lines}\n{after}"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_requirements_name_the_downloaded_torch(wheel, monkeypatch):
    monkeypatch.setenv("PATH", "")  # no sha256sum, no grep
    text = install.requirements(lock_of(OTHER, sha256(wheel)), wheel)
    expected = f"torch @ {wheel.as_uri()} --hash=sha256:{sha256(wheel)}\n"
    assert text == re.sub(r"torch==9.0 (.*\n)*(?=torchvision)", lambda _: expected, lock_of(OTHER))


def test_changed_wheel_of_torch_is_refused(wheel):
    written = lock_of(sha256(wheel), OTHER)
    data = bytearray(wheel.read_bytes())
    data[40] ^= 1
    wheel.write_bytes(data)
    with pytest.raises(SystemExit, match=f"{sha256(wheel)}, expected one of the hashes of torch=="):
        install.requirements(written, wheel)


def test_torch_without_hash_in_the_lock_is_refused(wheel):
    with pytest.raises(SystemExit, match=r"not a file of laptop\.lock"):
        install.requirements(lock_of(), wheel)


def output_of(command: list[str], folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_both_tools_verify_the_requirements(tool, wheel, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    text = install.requirements(lock_of(sha256(wheel)), wheel)
    (entry,) = (line for line in text.splitlines() if " @ " in line)
    (tmp_path / "requirements.txt").write_text(entry)
    command = [sys.executable, "-m", "pip"] if tool == "pip" else [str(UV), "pip"]
    if tool == "uv" and not UV.exists():
        pytest.skip("no uv in an environment of an older lock")
    options = [
        "--no-index",
        "--no-deps",
        "--require-hashes",
        "--target",
        "installed",
        "-r",
        "requirements.txt",
    ]
    done = output_of([*command, "install", *options], tmp_path)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(tmp_path / "installed")
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    done = output_of([*command, "install", *options], tmp_path)
    assert done.returncode != 0
    assert re.search("do not match the hashes|hash mismatch", done.stderr, re.IGNORECASE)


def test_packages_for_cuda_follow_from_the_wheel(wheel):
    assert install.needs(wheel, {"nvidia-cublas", "triton"})
    assert not install.needs(wheel, {"triton"})


@pytest.mark.parametrize("version", [(3, 8), (3, 10), (3, 14)])
def test_other_versions_of_python_are_refused(version):
    number = ".".join(map(str, version))
    with pytest.raises(SystemExit, match=rf"\(Python {number}, expected 3.11 to 3.13\)"):
        install.check_version(version)


def test_supported_versions_are_those_of_ci():
    workflow = (ROOT / ".github/workflows/tests.yml").read_text()
    versions = sorted(set(re.findall(r'"(3\.\d+)"', workflow)))
    assert versions == ["3.11", "3.12", "3.13"]
    for version in versions:
        install.check_version(tuple(map(int, version.split("."))))


def test_registries_of_pip_are_handed_to_uv():
    config = "\n".join(
        [
            ":env:.find-links='/wheels'",
            "global.cert='/etc/x.crt'",
            "global.extra-index-url='https://a/simple file:///b'",
            "global.find-links='/other'",
        ]
    )
    indexes = ["--index", "https://a/simple", "--index", "file:///b"]
    assert install.uv_registries(config, {}) == [*indexes, "--find-links", "/wheels"]
    assert install.uv_registries(config, {"UV_FIND_LINKS": ""}) == indexes


def test_pip_installs_if_uv_fails(tmp_path, capfd):
    for name, status in (("python", 0), ("uv", 3)):
        script = f'#!/bin/sh\necho "{name} $@" >> {tmp_path}/log\nexit {status}\n'
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "work").mkdir()
    installer = install.Installer(tmp_path / "python", tmp_path / "work", compiled=False)
    installer.install(Path("requirements.txt"))
    tools = (tmp_path / "log").read_text().splitlines()
    assert [tool.split()[0] for tool in tools] == ["python", "python", "uv", "python"]
    assert all(" --require-hashes " in tool for tool in (tools[0], *tools[2:]))
    assert tools[-1].endswith(" requirements.txt")
    assert "failed; trying pip" in capfd.readouterr().err


# -- the lock --------------------------------------------------------------------------------------


def test_lock_keeps_the_hash_of_the_other_build_of_torch():
    entry, before = install.entries(lock_of(OTHER))["torch"], lock_of(OTHER, "b" * 64)
    assert lock.old_hashes(before, "torch==9.1") == []
    entry = lock.with_hashes(entry, [*lock.old_hashes(before, "torch==9.0"), "c" * 64])
    assert entry == install.entries(lock_of(OTHER, "b" * 64, "c" * 64))["torch"]


def test_empty_hash_stops_the_lock():
    with pytest.raises(SystemExit, match="'' is not a sha256; no lock was written"):
        lock.with_hashes(install.entries(lock_of(OTHER))["torch"], [""])


def test_packages_of_cuda_have_their_own_lock():
    names = ("numpy==1", "nvidia-cublas==2")
    laptop, cuda = lock.split("".join(f"{name} \\\n    --hash=sha256:{OTHER}\n" for name in names))
    assert (set(install.entries(laptop)), set(install.entries(cuda))) == (
        {"numpy"},
        {"nvidia-cublas"},
    )


# -- make ------------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A checkout with an environment that is ready, but empty."""
    folder = tmp_path / "a checkout"
    (folder / "envs").mkdir(parents=True)
    (folder / ".venv").mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("laptop.lock", "cuda.lock"):
        (folder / "envs" / name).touch()
        os.utime(folder / "envs" / name, (1, 1))
    (folder / ".venv/.ready").write_text(str(folder / ".venv"))
    return folder


def planned(folder: Path, *targets: str) -> str:
    """What make would run."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--dry-run", "--directory", folder, *targets]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return done.stdout


def test_make_installs_only_what_is_not_ready(checkout):
    assert "envs/install.py" not in planned(checkout, "figures")
    os.utime(checkout / "envs/cuda.lock")
    (checkout / ".venv/.ready").touch()
    os.utime(checkout / "envs/laptop.lock", (2**31, 2**31))
    assert "envs/install.py .venv" in planned(checkout, "figures")


def test_make_rebuilds_a_moved_environment(checkout):
    moved = checkout.rename(checkout.with_name("elsewhere"))
    assert "envs/install.py .venv" in planned(moved, "figures")


def test_make_accepts_a_link_to_an_environment(checkout):
    other = checkout.with_name("worktree")
    other.mkdir()
    shutil.copytree(checkout / "envs", other / "envs")
    shutil.copy(checkout / "Makefile", other)
    (other / ".venv").symlink_to(checkout / ".venv")
    assert "envs/install.py" not in planned(other, "figures")


def test_make_starts_no_script_with_an_absolute_path(checkout):
    commands = planned(checkout, "report", "test-all")
    assert set(re.findall(r"\.venv/bin/\w+( -m)?", commands)) == {" -m"}

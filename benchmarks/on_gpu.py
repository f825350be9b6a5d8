"""Everything that is to be measured on a GPU, on one offline machine, in 12 minutes.

python -m benchmarks.on_gpu --results FOLDER [--wheels FOLDER] [--minutes 12] [--parts NAME ...]

Sizes are for one GPU of the H200 class. Each part is a separate process: a benchmark at its true
size, a figure of the digits study, `scripts.calibrate`. A part gets its share of the time that is
left, so that what one part does not need the next ones have, and a part that fails or is cut off
does not stop the next. FOLDER/on_gpu.json is written after every part, next to the result files of
the parts, which `python -m benchmarks.report --results FOLDER` turns into a page.

Packages that the machine lacks are installed from --wheels, which benchmarks.on_gpu_wheels
collects. Therefore this file imports the standard library only. With --tiny every part runs in
seconds on a CPU, which measures nothing.
"""

import argparse
import json
import os
import signal
import site
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECORD = "on_gpu.json"
TAIL = 4000  # characters of the output of a part that are kept
LEAST = 1.0  # seconds that a part is started with


@dataclass(frozen=True)
class Part:
    """A part of the run.

    Parameters
    ----------
    name : str
    share : float
        Time of the part in proportion to those of the others.
    command : tuple of str
        Module and arguments; {results}: the folder of results.
    tiny : tuple of str
        The same at a size for tests on a CPU.
    """

    name: str
    share: float
    command: tuple[str, ...]
    tiny: tuple[str, ...]

    def arguments(self, python: str, results: Path, is_tiny: bool) -> list[str]:
        """Return the command line of the part."""
        words = self.tiny if is_tiny else self.command
        return [python, "-m", *(word.format(results=results) for word in words)]


@dataclass(frozen=True)
class Outcome:
    """What became of a part: `done`, `failed`, `cut off` or `no time left`."""

    state: str
    seconds: float
    limit: float
    command: list[str]
    files: list[str]
    output_tail: str


def part(name: str, share: float, command: str, tiny: str) -> Part:
    """Return a part from command lines as text."""
    return Part(name, share, tuple(command.split()), tuple(tiny.split()))


CPU = "--rounds 1 --results {results} --device cpu --backend eager"
GPU = "--rounds 1 --results {results} --device cuda"
PARTS = (
    part(
        "digits",
        3,
        "benchmarks.study_on_gpu --study studies/digits.yaml --figure supervised_scaling "
        "--gpus 1 --seconds 100 --results {results}",
        "benchmarks.study_on_gpu --study tests/workflow/smoke.yaml --figure training_curves "
        "--gpus 0 --seconds 300 --results {results}",
    ),
    part(
        "generation",
        5,
        f"benchmarks.generation --images 16 --batch 16 --steps 50 {GPU}",
        f"benchmarks.generation --model tiny --images 3 --batch 2 --steps 2 {CPU}",
    ),
    part(
        "vit_training",
        4,
        f"benchmarks.vit_training --model vit_base --batch 256 --steps 20 --skip 8 {GPU}",
        "benchmarks.vit_training --model tiny --size 32 --batch 4 --steps 3 --skip 1 --workers 0 "
        f"{CPU}",
    ),
    part(
        "clip_training",
        4,
        f"benchmarks.clip_training --model vit_base --batch 256 --iterations 10 {GPU}",
        "benchmarks.clip_training --model tiny --size 32 --batch 4 --iterations 2 --workers 0 "
        f"{CPU}",
    ),
    part(
        "calibrate",
        2,
        "scripts.calibrate --study studies/imagenet100.yaml --base h100 --overwrite --seconds 3 "
        "--steps 4 --threads 8 --stages generate train_classifiers evaluate "
        "--output {results}/measured_imagenet100.yaml",
        "scripts.calibrate --study tests/workflow/smoke.yaml --base laptop --overwrite "
        "--seconds 0.05 --stages train_classifiers --output {results}/measured_smoke.yaml",
    ),
)


def run(command: Sequence[str], seconds: float) -> tuple[str, str]:
    """Run a command with a time limit. Its children end with it.

    Parameters
    ----------
    command : sequence of str
        A Python, and its arguments.
    seconds : float
        Limit.

    Returns
    -------
    state : str
        `done`, `failed` or `cut off`.
    output : str
        The end of what it printed.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as printed:
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment_of(command[0]),
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            state = "failed" if child.wait(seconds) else "done"
        except subprocess.TimeoutExpired:
            state = "cut off"
        finally:
            # Processes that a part has left behind would slow down the next one.
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        printed.seek(0)
        return state, printed.read()[-TAIL:]


def with_wheels(wheels: Path, folder: Path) -> str:
    """Return a Python that has the packages of this one, and those of the wheels before them.

    It is a virtual environment, as Snakemake's jobs do not inherit PYTHONPATH.

    Parameters
    ----------
    wheels : Path
    folder : Path
        The new environment.

    Raises
    ------
    SystemExit
        If there is no wheel or one cannot be installed.
    """
    files = sorted(map(str, wheels.glob("*.whl")))
    if not files:
        fix = "collect them: python -m benchmarks.on_gpu_wheels"
        raise SystemExit(f"{wheels}: no wheel in it; {fix}")
    venv.create(folder, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / version / "site-packages"
    lines = [f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages()]
    (packages / "parent.pth").write_text("".join(lines), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    done = subprocess.run([*pip, "--target", str(packages), *files], capture_output=True, text=True)
    if done.returncode:
        problem = done.stderr.strip().split("\n")[-1]
        raise SystemExit(f"{wheels}: cannot be installed ({problem}); collect them again")
    return str(folder / "bin" / "python")


def environment_of(python: str) -> dict[str, str]:
    """Return the environment of the parts: jobs of the workflow call `python`, which is this."""
    path = os.pathsep.join([str(Path(python).parent), os.environ["PATH"]])
    return os.environ | {"PATH": path, "PYTHONUNBUFFERED": "1"}


def gpu() -> str:
    """Return name, memory and driver of the GPUs, as nvidia-smi reports them."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, timeout=30).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return "no nvidia-smi"


def measure(
    parts: Sequence[Part],
    results: Path,
    seconds: float,
    python: str = sys.executable,
    is_tiny: bool = False,
) -> dict[str, Outcome]:
    """Run the parts one after the other, and write the record after each.

    Parameters
    ----------
    parts : sequence of Part
    results : Path
    seconds : float
        Time of all parts together.
    python : str
    is_tiny : bool

    Returns
    -------
    dict of str to Outcome
        By the name of the part.
    """
    results.mkdir(parents=True, exist_ok=True)
    head = {"started": f"{datetime.now(UTC):%Y-%m-%d %H:%M}", "gpu": gpu(), "tiny": is_tiny}
    end = time.monotonic() + seconds
    outcomes: dict[str, Outcome] = {}
    for place, each in enumerate(parts):
        left = end - time.monotonic()
        limit = left * each.share / sum(other.share for other in parts[place:])
        command = each.arguments(python, results, is_tiny)
        before = {path: path.stat().st_mtime_ns for path in results.iterdir()}
        start = time.monotonic()
        state, tail = "no time left", ""
        if limit >= LEAST:
            state, tail = run(command, limit)
        new = [p for p in sorted(results.iterdir()) if before.get(p) != p.stat().st_mtime_ns]
        taken = round(time.monotonic() - start, 1)
        files = [path.name for path in new if path.name != RECORD]
        outcomes[each.name] = Outcome(state, taken, round(limit, 1), command[1:], files, tail)
        write_record(results, head | {"parts": {n: asdict(o) for n, o in outcomes.items()}})
        print(f"{each.name}: {state} after {taken:.0f} of {limit:.0f} s", flush=True)
    return outcomes


def write_record(results: Path, record: dict) -> None:
    """Write the record so that a reader never finds half of it."""
    temporary = results / f"{RECORD}.part"
    temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    temporary.replace(results / RECORD)


def main(arguments: list[str] | None = None) -> None:
    """Run the parts that the command line names."""
    raw = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    names = [each.name for each in PARTS]
    options.add_argument("--results", type=Path, required=True, help="folder of the results")
    options.add_argument("--wheels", type=Path, help="folder of packages that the machine lacks")
    options.add_argument("--minutes", type=float, default=12.0, help="time of all parts (12)")
    options.add_argument("--parts", nargs="+", choices=names, default=names, help="default: all")
    options.add_argument("--tiny", action="store_true", help="try every part on a CPU")
    args = options.parse_args(arguments)
    start = time.monotonic()
    parts = [each for each in PARTS if each.name in args.parts]
    with tempfile.TemporaryDirectory() as folder:
        python = with_wheels(args.wheels, Path(folder)) if args.wheels else sys.executable
        seconds = 60 * args.minutes - (time.monotonic() - start)
        outcomes = measure(parts, args.results.absolute(), seconds, python, args.tiny)
    if not all(outcome.state == "done" for outcome in outcomes.values()):
        raise SystemExit(f"{args.results / RECORD}: has the output of the parts that are not done")


if __name__ == "__main__":
    main()

"""What every benchmark shares: ways of doing the same work, timed in turn (A B A B) in one process,
and the file of what was found.

Seconds are of the processor where all work is done there, so that others who use the machine hardly
matter (the load is told), and of the clock where a GPU does it. A ratio is that of two runs next to
each other: more than 1 says that ours is faster.
"""

import argparse
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import threadpoolctl
import torch

from synscale.report import tables as tabulating
from synscale.runtime.atomic import write_json
from synscale.timing.machine import processor

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "open_clip_torch",
    "diffusers",
    "torch-fidelity",
    "webdataset",
    "simplejpeg",
    "scipy",
    "pillow",
    "snakemake",
)
OURS = "ours"


class Disagreement(AssertionError):
    """Two ways of the same work that have not made the same: their times tell nothing."""


@dataclass(frozen=True)
class Result:
    """What a benchmark found. tables: heading -> rows, a dictionary each."""

    name: str
    title: str
    work: str  # what was done, in numbers
    prediction: str  # written before the measurement
    tables: dict[str, list[dict]]
    agreement: str = ""
    notes: list[str] = field(default_factory=list)


def clock(device: torch.device) -> float:
    """Seconds so far: of this process's processor, or of the clock, all work on the GPU done."""
    if device.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


@contextmanager
def as_a_job() -> Iterator[None]:
    """With deterministic kernels, as our jobs have them and no peer."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
    )
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.utils.deterministic.fill_uninitialized_memory = before[1]


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    start = clock(device)
    work()
    return clock(device) - start


def in_turn(
    ways: dict[str, Callable[[], object]],
    rounds: int,
    device: torch.device,
    agree: Callable[[dict], str],
    seconds: Callable[[Callable[[], object], torch.device], float] = seconds_of,
) -> tuple[pd.DataFrame, str]:
    """Seconds, a column for each way and a row for each round, and what `agree` says of what the
    ways made in a first round, which is not timed.

    Raises Disagreement where `agree` does.
    """
    told = agree({name: work() for name, work in ways.items()})
    return pd.DataFrame(
        [{name: seconds(work, device) for name, work in ways.items()} for _ in range(rounds)]
    ), told


def ratios(
    seconds: pd.DataFrame,
    units: int,
    unit: str,
    reach: dict[str, float] | None = None,
    ours: str = OURS,
) -> list[dict]:
    """A row for each way: milliseconds a unit, and how many times as long as ours it takes, the
    median over the rounds and the extremes.

    reach: way -> the ratio that is asked for.
    """
    rows = []
    for name in seconds:
        own = seconds[name] / seconds[ours]
        row = {"way": name, f"ms a {unit}": 1000 * float(seconds[name].median()) / units}
        if name != ours:
            row |= {
                "times ours": float(own.median()),
                "lowest": float(own.min()),
                "highest": float(own.max()),
            }
            row |= (
                {"to reach": reach[name], "reached": "yes" if own.median() >= reach[name] else "no"}
                if name in (reach or {})
                else {}
            )
        rows.append(row)
    return rows


def close(first, second, tolerance: float, what: str) -> float:
    """The largest difference, relative to the largest of the second. Raises Disagreement where it
    is over the tolerance.
    """
    first, second = (torch.as_tensor(np.asarray(own)).double() for own in (first, second))
    if first.shape != second.shape:
        raise Disagreement(f"{what}: shapes {tuple(first.shape)} and {tuple(second.shape)}")
    found = float((first - second).abs().max() / second.abs().max().clamp(min=1e-30))
    if not found <= tolerance:
        raise Disagreement(f"{what}: they differ by {found:.2g} of the largest, over {tolerance:g}")
    return found


def machine() -> dict:
    """What the figures depend on."""
    gpus = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    return {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "gpus": gpus,
        "load": round(os.getloadavg()[0], 1),
        "torch_threads": torch.get_num_threads(),
    }


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def markdown(rows: list[dict]) -> str:
    def told(value):
        if value is None or (isinstance(value, float) and np.isnan(value)):
            return ""
        return (
            f"{float(f'{value:.3g}'):,}"
            if isinstance(value, float)
            else f"{value:,}"
            if isinstance(value, int)
            else value
        )

    return tabulating.markdown(pd.DataFrame(rows).map(told))


def show(result: Result) -> str:
    parts = [f"{result.title}: {result.work}"]
    for heading, rows in result.tables.items():
        parts += [heading, markdown(rows)]
    return "\n\n".join(
        [*parts, *([f"Agreement: {result.agreement}"] if result.agreement else []), *result.notes]
    )


def parser(doc: str, rounds: int = 5, gpu: bool = False) -> argparse.ArgumentParser:
    """gpu: whether the work can be done on one."""
    own = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own.add_argument(
        "--rounds",
        type=int,
        default=rounds,
        help=f"timed rounds of all ways in turn (default: {rounds})",
    )
    if gpu:
        own.add_argument(
            "--device",
            default="cuda" if torch.cuda.is_available() else "cpu",
            help="cpu or cuda (default: cuda where there is one)",
        )
    own.add_argument(
        "--threads",
        type=int,
        default=1,
        help="of torch on the CPU (default: 1, so that figures are per core)",
    )
    own.add_argument("--results", type=Path, default=RESULTS, help="folder of the result file")
    return own


def begin(
    own: argparse.ArgumentParser, arguments: list[str] | None = None
) -> tuple[argparse.Namespace, torch.device]:
    args = own.parse_args(arguments)
    torch.set_num_threads(args.threads)
    threadpoolctl.threadpool_limits(
        args.threads
    )  # of numpy and scipy: threads that wait for work would count as work
    return args, torch.device(getattr(args, "device", "cpu"))


def finish(result: Result, args: argparse.Namespace) -> None:
    """Print what was found, and write it with the command, the date and the machine for
    `benchmarks.report`; what a GPU did, beside what the CPU did.
    """
    print(show(result))
    module = Path(sys.argv[0]).stem
    own = {
        "command": " ".join(["python -m", f"benchmarks.{module}", *sys.argv[1:]]),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }
    device = torch.device(getattr(args, "device", "cpu")).type
    name = result.name if device == "cpu" else f"{result.name}-{device}"
    write_json(
        args.results / f"{name}.json",
        asdict(result) | own | {"device": device, "machine": machine(), "versions": versions()},
    )

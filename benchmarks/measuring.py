"""Shared code of the benchmarks: ways of the same work, timed in turn (A B A B) in one process.

Seconds are CPU time on a CPU, which other users of the machine hardly change (the load is
recorded), and wall time on a GPU. A ratio is that of two runs next to each other: above 1 this
project's code is faster.
"""

import argparse
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import threadpoolctl
import torch

from synscale.report import tables as tabulating
from synscale.runtime.atomic import write_json
from synscale.runtime.origin import processor

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
PROJECT = "this project"


class Disagreement(AssertionError):
    """Two ways of the same work with different results: their times say nothing."""


@dataclass(frozen=True)
class Goal:
    """Ratio to a peer that the median over rounds should reach."""

    ratio: float
    at_most: bool = False  # for ratios that are better if they are lower

    def __str__(self) -> str:
        return f"at {'most' if self.at_most else 'least'} {self.ratio:g}"

    def row(self, ratio: float) -> dict:
        """Return the goal and whether a ratio reaches it, as columns of a table."""
        reached = ratio <= self.ratio if self.at_most else ratio >= self.ratio
        return {"goal": str(self), "reached": "yes" if reached else "no"}


@dataclass(frozen=True)
class Check:
    """Quantity without a peer, and its goal."""

    quantity: str
    measured: str
    goal: str
    reached: str  # yes or no


@dataclass(frozen=True)
class Result:
    """Result of a benchmark. Tables are rows by heading."""

    name: str
    title: str
    work: str  # what was done, in numbers
    prediction: str  # written before the measurement
    tables: dict[str, list[dict]]
    agreement: str = ""
    notes: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)


def clock(device: torch.device) -> float:
    """Return CPU time in seconds, or wall time after all work on the GPU."""
    if device.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


@contextmanager
def as_a_job() -> Iterator[None]:
    """Use deterministic kernels, as the jobs of the workflow do."""
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
    """Return the seconds of a work."""
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
    """Time ways of the same work in turn.

    Parameters
    ----------
    ways : dict of str to callable
    rounds : int
    device : torch.device
    agree : callable
        Compares the results of a first round, which is not timed. Raises Disagreement.
    seconds : callable
        Times one work.

    Returns
    -------
    seconds : DataFrame
        A column for each way and a row for each round.
    agreement : str
        Result of `agree`.
    """
    agreement = agree({name: work() for name, work in ways.items()})
    rows = [{name: seconds(work, device) for name, work in ways.items()} for _ in range(rounds)]
    return pd.DataFrame(rows), agreement


def ratios(
    seconds: pd.DataFrame,
    units: int,
    unit: str,
    goals: dict[str, Goal],
) -> list[dict]:
    """Return a row for each implementation: milliseconds per unit, and time relative to this one.

    Parameters
    ----------
    seconds : DataFrame
        As of `in_turn`.
    units : int
        Units of the work.
    unit : str
    goals : dict of str to Goal
        Goals of peers.
    """
    rows = []
    for name in seconds:
        row = {"implementation": name}
        row[f"ms per {unit}"] = 1000 * float(seconds[name].median()) / units
        if name != PROJECT:
            row |= spread(seconds[name] / seconds[PROJECT])
        if name in goals:
            row |= goals[name].row(row["ratio"])
        rows.append(row)
    return rows


def spread(ratio: pd.Series) -> dict[str, float]:
    """Return the median of a ratio over rounds, the lowest and the highest one."""
    ends = {"lowest": float(ratio.min()), "highest": float(ratio.max())}
    return {"ratio": float(ratio.median())} | ends


def close(first, second, tolerance: float, what: str) -> float:
    """Return the largest difference, relative to the largest value of `second`.

    Raises
    ------
    Disagreement
        If it is over the tolerance.
    """
    first, second = (torch.as_tensor(np.asarray(values)).double() for values in (first, second))
    if first.shape != second.shape:
        raise Disagreement(f"{what}: shapes {tuple(first.shape)} and {tuple(second.shape)}")
    error = float((first - second).abs().max() / second.abs().max().clamp(min=1e-30))
    if not error <= tolerance:
        raise Disagreement(f"{what}: they differ by {error:.2g} of the largest, over {tolerance:g}")
    return error


def machine() -> dict:
    """Return what times depend on."""
    gpus = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    return {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "gpus": gpus,
        "load": round(os.getloadavg()[0], 1),
        "torch_threads": torch.get_num_threads(),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that are installed."""
    packages = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            packages[package] = importlib.metadata.version(package)
    return packages


def formatted(value) -> str:
    """Return a value of a table as text, numbers with three digits."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{float(f'{value:.3g}'):,}"
    return f"{value:,}" if isinstance(value, int) else value


def markdown(rows: list[dict]) -> str:
    """Return rows as a Markdown table, numbers with three digits."""
    return tabulating.markdown(pd.DataFrame(rows).map(formatted))


def show(result: Result) -> str:
    """Return a result as text."""
    parts = [f"{result.title}: {result.work}"]
    for heading, rows in result.tables.items():
        parts += [heading, markdown(rows)]
    if result.agreement:
        parts.append(f"Agreement: {result.agreement}")
    return "\n\n".join([*parts, *result.notes])


def parser(doc: str, rounds: int = 5, gpu: bool = False) -> argparse.ArgumentParser:
    """Return the options of a benchmark.

    Parameters
    ----------
    doc : str
        Description.
    rounds : int
        Default number of rounds.
    gpu : bool
        Whether the work can be done on a GPU.
    """
    raw = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=doc, formatter_class=raw)
    add, device = options.add_argument, "cuda" if torch.cuda.is_available() else "cpu"
    add("--rounds", type=int, default=rounds, help=f"timed rounds (default: {rounds})")
    if gpu:
        add("--device", default=device, help=f"cpu or cuda (default: {device})")
    add("--threads", type=int, default=1, help="threads of torch (default: 1: times per core)")
    add("--results", type=Path, default=RESULTS, help="folder of the result file")
    return options


def begin(
    options: argparse.ArgumentParser, arguments: list[str] | None = None
) -> tuple[argparse.Namespace, torch.device]:
    """Parse the command line and set the number of threads. Return the options and the device."""
    args = options.parse_args(arguments)
    torch.set_num_threads(args.threads)
    # Threads of numpy and scipy that wait for work would count as work.
    threadpoolctl.threadpool_limits(args.threads)
    return args, torch.device(getattr(args, "device", "cpu"))


def finish(result: Result, args: argparse.Namespace) -> None:
    """Print a result, and write it with command, date and machine for `benchmarks.report`."""
    print(show(result))
    device = torch.device(getattr(args, "device", "cpu")).type
    name = result.name if device == "cpu" else f"{result.name}-{device}"
    module = Path(sys.argv[0]).stem
    context = {
        "command": " ".join(["python -m", f"benchmarks.{module}", *sys.argv[1:]]),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "device": device,
        "machine": machine(),
        "versions": versions(),
    }
    write_json(args.results / f"{name}.json", asdict(result) | context)

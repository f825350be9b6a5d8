"""A type of machine: seconds that a unit of work takes on it, prices, power. Read from
profiles/hardware/{name}.yaml.
"""

import json
import math
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError

from synscale.planning.cost_model import PlanError, Work
from synscale.study.models.base import StrictModel

FOLDER = Path("profiles/hardware")
NO_GPUS = "none"  # as gpu_partition
# Rules that use several GPUs: synscale/runtime/launch.py starts a process for each.
PARALLEL = frozenset({"generate", "train_classifiers", "train_clip"})
AtLeastZero = Annotated[float, Field(ge=0)]
Unit = Literal["job", "run", "step", "image", "pair", "pass", "curve", "text", "tflop"]


class HardwareError(PlanError):
    """A hardware file that is missing, unsound, or has no speed for a job."""


class Rate(StrictModel):
    rule: str = Field(
        description="pattern such as plot_*; the first row that fits counts for a unit"
    )
    kind: str = Field(default="*", description="of generator or evaluation set")
    unit: Unit
    seconds: AtLeastZero
    origin: str = Field(
        pattern=r"^(measured|estimated|assumed)\b",
        description="measured (command, date), estimated (how), assumed",
    )


class Figure(StrictModel):
    """A number that is assumed until edited."""

    value: AtLeastZero
    origin: str


class Scaling(Figure):
    """How much of the speed of a GPU is left whenever the number of GPUs of a job doubles."""

    value: float = Field(gt=0.5, le=1)


SCALING = Scaling(
    value=0.9,
    origin="assumed: 90 % per doubling, 73 % on 8 GPUs (our choice)",
)


class Hardware(StrictModel):
    title: str
    currency: str
    price_per_core_hour: Figure
    price_per_gpu_hour: Figure
    watts_per_core: Figure = Field(
        description="busy, its share of the whole machine and of cooling"
    )
    watts_per_gpu: Figure
    co2_kg_per_kwh: Figure
    cpu_partition: str
    gpu_partition: str = Field(description="name of the partition with GPUs, or none")
    gpu_scaling: Scaling = SCALING
    rates: list[Rate]

    @property
    def has_gpus(self) -> bool:
        return self.gpu_partition != NO_GPUS

    def rates_of(self, rule: str, work: Work) -> list[Rate]:
        """The row that counts for each unit of a job. A unit without a row takes no time.

        Raises HardwareError where no unit has one, or none but the start of a job that does more
        than start: it would pass for cheap.
        """
        found = {}
        for rate in self.rates:
            if (
                rate.unit in work.units
                and fnmatchcase(rule, rate.rule)
                and fnmatchcase(work.kind, rate.kind)
            ):
                found.setdefault(rate.unit, rate)
        if work.units and (not found or (found.keys() == {"job"} and len(work.units) > 1)):
            of = f" of kind {work.kind!r}" if work.kind else ""
            kind, unit = (
                f"kind: {json.dumps(work.kind)}, " if work.kind else "",
                next((unit for unit in ("image", "text", "run") if unit in work.units), "job"),
            )
            row = f"{{rule: {rule}, {kind}unit: {unit}, seconds: <a number>, origin: assumed}}"
            mend = f"`snakemake calibrate --config study=...` measures it, or add a row to `rates` of its file under {FOLDER}: {row}"
            raise HardwareError(f"{self.title}: no speed for rule {rule!r}{of}: {mend}")
        return list(found.values())

    def speedup(self, gpus: int) -> float:
        """Return how many times faster a job is on several GPUs: n x scaling^(log2 n)."""
        return gpus * self.gpu_scaling.value ** math.log2(gpus) if gpus > 1 else 1.0

    def seconds_of(self, rule: str, work: Work) -> tuple[float, float]:
        """Return the seconds of a job's start, and of the rest, which several GPUs shorten."""
        seconds = {r.unit: r.seconds * work.units[r.unit] for r in self.rates_of(rule, work)}
        start = seconds.pop("job", 0.0)
        return start, sum(seconds.values()) / (self.speedup(work.gpus) if rule in PARALLEL else 1.0)

    def seconds(self, rule: str, work: Work) -> float:
        """Sum over units of count x seconds, divided by the speed-up of several GPUs."""
        return sum(self.seconds_of(rule, work))


def load(name: str, folder: Path = FOLDER) -> Hardware:
    """Raises HardwareError where there is no such file, or its content does not fit."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml"))) or "none"
        raise HardwareError(f"hardware {name!r}: no {path}; known: {known}")
    try:
        return Hardware.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise HardwareError(f"{path}: {error}") from None


def with_gpus(folder: Path = FOLDER) -> list[str]:
    """Return the names of the machines with GPUs; files that cannot be read are left out."""
    names = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            machine = load(path.stem, folder)
        except HardwareError:
            continue
        if machine.has_gpus:
            names.append(path.stem)
    return names


def require_gpus(name: str, study: str, folder: Path = FOLDER) -> None:
    """Raise HardwareError if a machine has no GPU: GPU jobs would get the times of one core.

    Parameters
    ----------
    name : str
        The machine, a file of `folder`.
    study : str
        The study whose jobs ask for GPUs.
    folder : Path
        Where hardware files are.
    """
    if load(name, folder).has_gpus:
        return
    machines = with_gpus(folder)
    raise HardwareError(
        f"hardware = {name!r}: is a machine without GPU, but jobs of studies/{study}.yaml request "
        f"GPUs from the cluster; choose a file of {folder} with GPUs "
        f"({', '.join(machines) or 'none yet: add one'}) in config.yaml, or for one run by --config hardware={machines[0] if machines else '...'}"
    )

"""A type of machine: seconds per unit of work, prices, power (profiles/hardware/{name}.yaml)."""

import json
import math
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError

from synscale.planning import readers
from synscale.planning.cost_model import PlanError, Work
from synscale.study.models.base import StrictModel

FOLDER = Path("profiles/hardware")
NO_GPUS = "none"  # as gpu_partition
# Rules that use several GPUs: synscale/runtime/launch.py starts a process for each.
PARALLEL = frozenset({"generate", "train_classifiers", "train_clip"})
AtLeastZero = Annotated[float, Field(ge=0)]
Unit = Literal[
    "job", "run", "step", "image", "pair", "pass", "curve", "text", "tflop", "read", "augment"
]


class HardwareError(PlanError):
    """A hardware file that is missing or invalid, or has no speed for a job."""


class Rate(StrictModel):
    """Seconds per unit of the jobs of a rule."""

    rule: str = Field(description="pattern such as plot_*; the first matching row of a unit counts")
    kind: str = Field(default="*", description="pattern of the kind of generator or evaluation set")
    unit: Unit
    seconds: AtLeastZero
    origin: str = Field(
        pattern=r"^(measured|estimated|assumed)\b",
        description="measured (command, date), estimated (how), assumed",
    )
    image_size: int | None = Field(
        default=None,
        gt=0,
        description="pixels a side of the stored images that the seconds hold for; images of "
        "another size take time in proportion to their pixels",
    )

    def seconds_of(self, work: Work) -> float:
        """Return the seconds that a job takes for this unit."""
        sides = work.image_size / self.image_size if self.image_size and work.image_size else 1.0
        return self.seconds * work.units[self.unit] * sides**2


class Figure(StrictModel):
    """A number with its origin."""

    value: AtLeastZero
    origin: str


class Scaling(Figure):
    """Share of the speed of a GPU that is left when the number of GPUs of a job doubles."""

    value: float = Field(gt=0.5, le=1)


SCALING = Scaling(value=0.9, origin="assumed: 90 % per doubling, 73 % on 8 GPUs (our choice)")


class Hardware(StrictModel):
    """A type of machine."""

    title: str
    currency: str
    price_per_core_hour: Figure
    price_per_gpu_hour: Figure
    watts_per_core: Figure = Field(
        description="power of a busy core with its part of the machine and of the cooling"
    )
    watts_per_gpu: Figure
    co2_kg_per_kwh: Figure
    cpu_partition: str
    gpu_partition: str = Field(description="name of the partition with GPUs, or none")
    gpu_scaling: Scaling = SCALING
    rates: list[Rate]

    @cached_property
    def _rates_by_kind(self) -> tuple[list[Rate], dict[tuple, list[Rate]]]:
        """Rates, and results of `rates_of` for them: thousands of shards have the same units."""
        return self.rates, {}

    @property
    def has_gpus(self) -> bool:
        """Whether the machine has a GPU."""
        return self.gpu_partition != NO_GPUS

    def rates_of(self, rule: str, work: Work) -> list[Rate]:
        """Return the rate of each unit of a job. A unit without a rate takes no time.

        Parameters
        ----------
        rule : str
        work : Work
            Units of the job.

        Raises
        ------
        HardwareError
            If there is no rate, or only one for the start of a job that does more: the job would
            seem cheap.
        """
        key = (rule, work.kind, *work.units)
        rates, known = self._rates_by_kind
        if rates is not self.rates:  # a copy with other rates, which has the results of the first
            return self._find_rates(rule, work)
        if key not in known:
            known[key] = self._find_rates(rule, work)
        return known[key]

    def _find_rates(self, rule: str, work: Work) -> list[Rate]:
        rates: dict[str, Rate] = {}
        for rate in self.rates:
            is_of_rule = fnmatchcase(rule, rate.rule) and fnmatchcase(work.kind, rate.kind)
            if rate.unit in work.units and is_of_rule:
                rates.setdefault(rate.unit, rate)
        has_start_only = rates.keys() == {"job"} and len(work.units) > 1
        if work.units and (not rates or has_start_only):
            raise self._no_speed(rule, work)
        return list(rates.values())

    def _no_speed(self, rule: str, work: Work) -> HardwareError:
        of_kind = f" of kind {work.kind!r}" if work.kind else ""
        kind = f"kind: {json.dumps(work.kind)}, " if work.kind else ""
        unit = next((unit for unit in ("image", "text", "run") if unit in work.units), "job")
        row = f"{{rule: {rule}, {kind}unit: {unit}, seconds: <a number>, origin: assumed}}"
        return HardwareError(
            f"{self.title}: no speed for rule {rule!r}{of_kind}; measure it with `snakemake "
            f"calibrate --config study=...`, or add a row to `rates` in {FOLDER}: {row}"
        )

    def speedup(self, gpus: int) -> float:
        """Return how many times faster a job is on several GPUs: n x scaling^(log2 n)."""
        return gpus * self.gpu_scaling.value ** math.log2(gpus) if gpus > 1 else 1.0

    def time_of(self, rule: str, work: Work) -> readers.JobTime:
        """Return the seconds of a job: start, computing on its GPUs, and reading.

        Parameters
        ----------
        rule : str
        work : Work
            Units of the job.
        """
        seconds: dict[str, float] = {}
        for rate in self.rates_of(rule, work):
            seconds[rate.unit] = rate.seconds_of(work)
        start = seconds.pop("job", 0.0)
        reading = sum(seconds.pop(unit, 0.0) for unit in readers.UNITS)
        computing = sum(seconds.values()) / (self.speedup(work.gpus) if rule in PARALLEL else 1.0)
        return readers.JobTime(start, computing, reading, work.gpus, work.readers)

    def seconds(self, rule: str, work: Work) -> float:
        """Return the seconds of a job.

        Parameters
        ----------
        rule : str
        work : Work
            Units of the job.
        """
        return self.time_of(rule, work).seconds


def load(name: str, folder: Path = FOLDER) -> Hardware:
    """Read a hardware file.

    Parameters
    ----------
    name : str
        Name of the file, without suffix.
    folder : Path

    Raises
    ------
    HardwareError
        If there is no such file, or its content is invalid.
    """
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml"))) or "none"
        raise HardwareError(f"hardware = {name!r}: no file {path}; known: {known}")
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
    if not load(name, folder).has_gpus:
        raise without_gpus(name, study, folder)


def without_gpus(name: str, study: str, folder: Path = FOLDER) -> HardwareError:
    """Return the error of a machine without GPU. Parameters as of `require_gpus`."""
    machines = with_gpus(folder)
    example = machines[0] if machines else "..."
    return HardwareError(
        f"hardware = {name!r}: is a machine without GPU, but jobs of studies/{study}.yaml request "
        f"GPUs; choose a file of {folder} with GPUs "
        f"({', '.join(machines) or 'none yet: add one'}) in config.yaml, or for one run by "
        f"--config hardware={example}"
    )

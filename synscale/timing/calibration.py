"""A hardware file from timed work: speeds of the rules that were timed, the rest from a base."""

import contextlib
import io
import statistics
from fnmatch import fnmatchcase
from typing import get_args

import pandas as pd
import yaml

from synscale.planning import hardware, readers
from synscale.planning.cost_model import Work
from synscale.planning.hardware import Hardware, Rate
from synscale.planning.least_squares import fit
from synscale.timing import stages
from synscale.timing.bench import Bench, Timed

MARK = "# Written by scripts.calibrate"
# Units that tell models of a rule apart; with a single model only the first. Arithmetic, and with
# models of several sizes the time of a step in addition.
FITTED = {
    "write_sentences": ("text",),
    "caption_images": ("image",),
    "flag_images": ("image",),
    "train_generator": ("tflop",),
    "generate": ("tflop",),
    "train_classifiers": ("tflop", "step"),
    "train_clip": ("tflop", "step"),
    "evaluate": ("run", "job", "tflop"),
    "evaluate_clip": ("run", "job"),
    "score": ("image", "pair"),
    "prepare_data": ("image",),
}
# Work that is timed separately: a start, loading weights, a model without its steps.
SEPARATE = [{"job": 1}, {"load": 1}, {"run": 1}]
# The first of these that was timed is shown.
SHOWN_UNITS = ("read", "image", "pair", "text", "step", "run", "load", "job")


def measure(bench: Bench, names: list[str]) -> list[Timed]:
    """Time the stages with these names. What the code of the jobs prints is dropped.

    Parameters
    ----------
    bench : Bench
        What is measured, and where.
    names : list of str
        Names of the stages.
    """
    timed = []
    for name in names:
        print(f"{name} ...", flush=True)
        with contextlib.redirect_stdout(io.StringIO()):
            timed += list(stages.STAGES[name](bench))
    return timed


def fit_speeds(timed: list[Timed], rule: str, kind: str) -> dict[str, float]:
    """Return seconds per unit of a rule.

    `job` is the start, with the mean time of loading a model.

    Parameters
    ----------
    timed : list of Timed
    rule : str
    kind : str
        Kind of the generator, "" if there is none.
    """
    rows = [t for t in timed if t.rule == rule and t.kind in ("", kind) and t.units]
    work = [(Work(t.units), t.seconds) for t in rows if not _is_separate(t)]
    speeds = fit(work, FITTED[rule])
    starts, loads, runs = ([t.seconds for t in rows if t.units == units] for units in SEPARATE)
    if runs:
        speeds["run"] = statistics.mean(runs)
    load = statistics.mean(loads) if loads else 0.0
    return speeds | {"job": speeds.get("job", 0.0) + sum(starts) + load}


def rates(timed: list[Timed], base: Hardware, origin: str) -> list[Rate]:
    """Return the rates of a hardware file: the measured ones, then those of the base.

    A unit that only the base has counts zero, as its time is within the measured ones. Units of a
    reader stay if no reader was timed.

    Parameters
    ----------
    timed : list of Timed
    base : Hardware
    origin : str
        Command, machine and date.
    """
    measured: list[Rate] = []
    work = [t for t in timed if t.units and not _is_separate(t)]
    for rule, kind in dict.fromkeys((t.rule, t.kind) for t in work):
        notes = [t.note for t in timed if (t.rule, t.kind) == (rule, kind) and t.note]
        fitted = fit_speeds(timed, rule, kind)
        units = [unit for unit in get_args(hardware.Unit) if unit not in readers.UNITS]
        zeros = {unit: 0.0 for unit in units if _has(base, rule, kind, unit)}
        for unit, seconds in (zeros | fitted).items():
            details = dict.fromkeys([origin, *(notes if unit in fitted else ["within the others"])])
            row = {"rule": rule, "kind": kind or "*", "unit": unit}
            row["seconds"] = float(f"{seconds:.3g}")
            measured.append(Rate(**row, origin=f"measured ({'; '.join(details)})"))
    measured += [rate for t in timed if "read" in t.units for rate in _reader_rates(t, origin)]
    replaced = {(rate.rule, rate.kind, rate.unit) for rate in measured}
    return measured + [
        rate for rate in base.rates if (rate.rule, rate.kind, rate.unit) not in replaced
    ]


def _reader_rates(timed: Timed, origin: str) -> list[Rate]:
    """Return the rates of a timed reader, whose seconds include RandAugment."""
    seconds = float(f"{timed.seconds / timed.units['read']:.3g}")
    size, reader = timed.image_size, f"measured ({origin}; {timed.what})"
    within = f"measured ({origin}; within read)"
    return [
        Rate(rule=timed.rule, unit="read", seconds=seconds, image_size=size, origin=reader),
        Rate(rule=timed.rule, unit="augment", seconds=0.0, origin=within),
    ]


def _is_separate(timed: Timed) -> bool:
    return timed.units in SEPARATE or "read" in timed.units


def _has(base: Hardware, rule: str, kind: str, unit: str) -> bool:
    return any(
        rate.unit == unit and fnmatchcase(rule, rate.rule) and fnmatchcase(kind, rate.kind)
        for rate in base.rates
    )


def _line(value) -> str:
    """Return a value as YAML on one line."""
    text = yaml.safe_dump(
        value, sort_keys=False, width=1_000_000, default_flow_style=True, allow_unicode=True
    )
    return text.removesuffix("\n...\n").strip()


def hardware_text(machine: Hardware, study: str, base: str, origin: str) -> str:
    """Return the content of a hardware file: YAML with a rate per line.

    Parameters
    ----------
    machine : Hardware
    study : str
        Study file that was timed.
    base : str
        Name of the hardware file that the rest comes from.
    origin : str
    """
    content = machine.model_dump()
    rows = content.pop("rates")
    for row in rows:
        if row["kind"] == "*":
            del row["kind"]
        if row["image_size"] is None:
            del row["image_size"]
    return "\n".join(
        [
            f"{MARK} --study {study} ({origin}).",
            f"# Not timed, from {base}.yaml: prices, power, partitions, rows with other origins.",
            *(f"{key}: {_line(value)}" for key, value in content.items()),
            "rates:",
            *(f"  - {_line(row)}" for row in rows),
            "",
        ]
    )


def format_timed(timed: list[Timed]) -> str:
    """Return a table of what was timed."""
    rows = []
    for t in timed:
        unit = next((unit for unit in SHOWN_UNITS if unit in t.units), "")
        tflop = t.units.get("tflop")
        rows.append(
            {
                "rule": t.rule,
                "what": t.what,
                "measured": f"{t.seconds / t.units[unit]:.3g} s per {unit}" if unit else "",
                "TFLOP per second": f"{tflop / t.seconds:.3g}" if tflop else "",
                "GPU memory, GB": f"{t.peak / 1e9:.1f}" if t.peak else "",
                "note": t.note,
            }
        )
    return pd.DataFrame(rows).to_string(index=False)

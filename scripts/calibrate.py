"""Time the code of a study on the GPU (or CPU) at hand, in minutes, and write a hardware file that
plans are made with: `snakemake calibrate`.

python -m scripts.calibrate --study studies/imagenet.yaml --base a100 --output profiles/hardware/measured_imagenet.yaml [--steps 10] [--stages generate ...]

What a rule does is done as its jobs do it: same scripts, shapes, precision, batches (of 1,024
images at most), a few of them. Weights that are not on disk are random. What is not timed, such as
figures, and prices and power, is taken over from the base, a file of profiles/hardware, with its
origin. Seconds are of the clock, or on one thread without a GPU of the processor; on a busy machine
these grow too, by a fourth or so. A file that this command has not written is not overwritten,
unless --overwrite. A finished run beside its plan, or speeds from its records: scripts.fit_speeds.
"""

import argparse
import contextlib
import io
import os
import statistics
import tempfile
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import get_args

from synscale.runtime.torch_setup import deterministic

import pandas as pd
import threadpoolctl
import torch
import yaml

from synscale.planning import hardware
from synscale.planning.cost_model import Work
from synscale.planning.least_squares import fit
from synscale.runtime.atomic import atomic_write
from synscale.study.load import StudyError, load_study
from synscale.timing import machine, stages
from synscale.timing.bench import LARGEST, Bench, Timed

MARK = "# Written by scripts.calibrate"
# What tells models of a rule apart; of a single model the first alone. Arithmetic, and with models
# of several sizes what each step takes besides.
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


CONSTANT = (
    {"job"},
    {"load"},
    {"run"},
)  # of a start, of weights that are loaded, of a model beside its steps


def speeds(found: list[Timed], rule: str, kind: str) -> dict[str, float]:
    """Seconds a unit. What is of starts alone comes together in `job`, with the mean of loading one
    of the models.
    """
    own = [t for t in found if t.rule == rule and t.kind in ("", kind) and t.units]
    fitted = fit(
        [(Work(t.units), t.seconds) for t in own if t.units.keys() not in CONSTANT], FITTED[rule]
    )
    starts, loads, runs = (
        [t.seconds for t in own if t.units.keys() == constant] for constant in CONSTANT
    )
    start = fitted.get("job", 0.0) + sum(starts) + (statistics.mean(loads) if loads else 0.0)
    return fitted | ({"run": statistics.mean(runs)} if runs else {}) | {"job": start}


def rates(found: list[Timed], base: hardware.Hardware, origin: str) -> list[hardware.Rate]:
    """Those that are measured, first, for the first that fits counts; then those of the base that
    still may.
    """
    measured, timed = (
        [],
        dict.fromkeys(
            (t.rule, t.kind) for t in found if t.units and t.units.keys() not in CONSTANT
        ),
    )
    for rule, kind in timed:
        notes = "; ".join(
            dict.fromkeys(t.note for t in found if (t.rule, t.kind) == (rule, kind) and t.note)
        )
        own, told = speeds(found, rule, kind), {"rule": rule, "kind": kind or "*"}
        for unit, seconds in own.items():
            measured.append(
                hardware.Rate(
                    **told,
                    unit=unit,
                    seconds=float(f"{seconds:.3g}"),
                    origin=f"measured ({origin}{'; ' + notes if notes else ''})",
                )
            )
        for unit in get_args(hardware.Unit):  # the base would count it once more
            if unit not in own and any(
                fnmatchcase(rule, r.rule) and fnmatchcase(kind, r.kind) and r.unit == unit
                for r in base.rates
            ):
                measured.append(
                    hardware.Rate(
                        **told,
                        unit=unit,
                        seconds=0,
                        origin=f"measured ({origin}; within the others)",
                    )
                )
    replaced = {(rate.rule, rate.kind) for rate in measured}
    return measured + [rate for rate in base.rates if (rate.rule, rate.kind) not in replaced]


def text(made: hardware.Hardware, study: str, base: str, origin: str) -> str:
    """The file: YAML, a row a line."""
    lines = [
        f"{MARK} --study {study} ({origin}).",
        f"# Not timed, and taken over from {base}.yaml: prices, power, partitions, and the rows below whose origin is another.",
    ]
    content = made.model_dump()
    rows = content.pop("rates")

    def line(value) -> str:
        return (
            yaml.safe_dump(
                value, sort_keys=False, width=1_000_000, default_flow_style=True, allow_unicode=True
            )
            .removesuffix("\n...\n")
            .strip()
        )

    lines += [f"{key}: {line(value)}" for key, value in content.items()]
    lines += [
        "rates:",
        *(
            f"  - {line({key: value for key, value in row.items() if (key, value) != ('kind', '*')})}"
            for row in rows
        ),
    ]
    return "\n".join(lines) + "\n"


def shown(found: list[Timed]) -> str:
    rows = []
    for t in found:
        unit = next(
            (
                unit
                for unit in ("image", "pair", "text", "step", "run", "load", "job")
                if unit in t.units
            ),
            "",
        )
        each = f"{t.seconds / t.units[unit]:.3g} s a {unit}" if unit else ""
        tflops = f"{t.units['tflop'] / t.seconds:.3g}" if t.units.get("tflop") else ""
        peak = f"{t.peak / 1e9:.1f}" if t.peak else ""
        rows.append(
            {
                "rule": t.rule,
                "what": t.what,
                "measured": each,
                "TFLOP a second": tflops,
                "GPU memory, GB": peak,
                "note": t.note,
            }
        )
    return pd.DataFrame(rows).to_string(index=False)


def check_output(path: Path, overwrite: bool) -> None:
    if path.is_file() and not overwrite and not path.read_text(encoding="utf-8").startswith(MARK):
        raise SystemExit(
            f"{path}: this command has not written it, and leaves it alone: name another --output, or add --overwrite"
        )


def measure(bench: Bench, chosen: list[str]) -> list[Timed]:
    found = []
    for name in chosen:
        print(f"{name} ...", flush=True)
        with contextlib.redirect_stdout(io.StringIO()):  # what the jobs would tell
            found += list(stages.STAGES[name](bench))
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", required=True, help="study file")
    parser.add_argument("--base", required=True, help="name of a file of profiles/hardware")
    parser.add_argument("--output", type=Path, required=True, help="hardware file")
    parser.add_argument("--overwrite", action="store_true")
    parser.add_argument(
        "--seconds",
        type=float,
        default=10.0,
        help="that each is timed for, once at least (default: 10)",
    )
    parser.add_argument(
        "--batch", type=int, default=LARGEST, help="images of a batch at most (default: 1024)"
    )
    parser.add_argument(
        "--steps", type=int, help="of sampling at most; the plan counts on with those of the study"
    )
    parser.add_argument(
        "--stages",
        nargs="+",
        choices=list(stages.STAGES),
        default=list(stages.STAGES),
        help="all by default",
    )
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(arguments)
    check_output(args.output, args.overwrite)
    try:
        study, base = load_study(args.study), hardware.load(args.base)
    except (StudyError, hardware.HardwareError) as error:
        raise SystemExit(str(error)) from None

    device, load = deterministic(args.threads), os.getloadavg()[0]
    threadpoolctl.threadpool_limits(
        args.threads
    )  # of numpy and scipy, as Snakemake limits those of a job
    with tempfile.TemporaryDirectory() as folder:
        found = measure(
            Bench(
                Path(args.study),
                study,
                device,
                Path(folder),
                args.threads,
                args.seconds,
                args.batch,
                args.steps,
            ),
            args.stages,
        )
    card = machine.name(device, args.threads)
    origin = f"snakemake calibrate, {card}, load {load:.1f}, {datetime.now(UTC):%Y-%m-%d}"
    title = f"one {card}" if device.type == "cuda" else card
    made = base.model_copy(update={"title": title, "rates": rates(found, base, origin)})
    with atomic_write(args.output) as (part,):
        part.write_text(text(made, args.study, args.base, origin), encoding="utf-8")
    hardware.load(args.output.stem, args.output.parent)
    print(
        f"\n{shown(found)}\n\n{args.output}: to plan with it, say `hardware: {args.output.stem}` in config.yaml."
    )
    print(f"Prices, power, partitions and what was not timed are those of {args.base}.")
    print(
        f"Seconds are of the {'processor' if machine.by_processor(device) else 'clock'}; the load of the machine was {load:.1f} on {os.cpu_count()} cores."
    )
    if device.type == "cuda":
        print(
            f"GPU memory of this card: {torch.cuda.get_device_properties(device).total_memory / 1e9:.1f} GB."
        )


if __name__ == "__main__":
    main()

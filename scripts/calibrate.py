"""Time the code of a study on this GPU or CPU, in minutes, and write a hardware file for plans.

python -m scripts.calibrate --study studies/imagenet.yaml --base a100
    --output profiles/hardware/measured_imagenet.yaml [--steps 10] [--stages generate ...]

`snakemake calibrate` runs it. Each rule is timed with the code, shapes, precision and batches of
its jobs (at most 1,024 images), a few of them. Weights that are not on disk are random. Prices,
power and what is not timed, such as figures, come from the base, a file of profiles/hardware, with
their origins. Seconds are wall time, or CPU time on one thread without a GPU; on a busy machine
these grow too, by about a quarter. Files that this command has not written are kept unless
--overwrite. After a run: scripts.fit_speeds.
"""

import argparse
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from synscale.runtime.torch_setup import deterministic

import threadpoolctl
import torch

from synscale.planning import hardware
from synscale.runtime.atomic import atomic_write
from synscale.study.load import StudyError, load_study
from synscale.timing import calibration, machine, stages
from synscale.timing.bench import LARGEST, Bench


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    add, names = options.add_argument, list(stages.STAGES)
    add("--study", required=True, help="study file")
    add("--base", required=True, help="name of a file of profiles/hardware")
    add("--output", type=Path, required=True, help="hardware file")
    add("--overwrite", action="store_true", help="replace a file of another origin")
    add(
        "--seconds",
        type=float,
        default=10.0,
        help="time for each measurement (default: %(default)s)",
    )
    add("--batch", type=int, default=LARGEST, help="largest batch in images (default: %(default)s)")
    add("--steps", type=int, help="most sampling steps; a plan still counts those of the study")
    add("--stages", nargs="+", choices=names, default=names, help="stages to measure")
    add("--threads", type=int, default=1, help="threads of torch")
    return options


def check_output(path: Path, overwrite: bool) -> None:
    """Raise SystemExit if a file exists that this command has not written."""
    if overwrite or not path.is_file():
        return
    if not path.read_text(encoding="utf-8").startswith(calibration.MARK):
        fix = "name another --output, or add --overwrite"
        raise SystemExit(f"{path}: exists and was not written by this command; {fix}")


def main(arguments: list[str] | None = None) -> None:
    """Measure the stages of a study and write the hardware file."""
    args = parser().parse_args(arguments)
    check_output(args.output, args.overwrite)
    try:
        study, base = load_study(args.study), hardware.load(args.base)
    except (StudyError, hardware.HardwareError) as error:
        raise SystemExit(str(error)) from None
    device = deterministic(args.threads)
    load = os.getloadavg()[0]
    threadpoolctl.threadpool_limits(args.threads)  # numpy and scipy, as in a job
    with tempfile.TemporaryDirectory() as folder:
        limits = (args.threads, args.seconds, args.batch, args.steps)
        bench = Bench(Path(args.study), study, device, Path(folder), *limits)
        timed = calibration.measure(bench, args.stages)
    name = machine.name(device, args.threads)
    origin = f"snakemake calibrate, {name}, load {load:.1f}, {datetime.now(UTC):%Y-%m-%d}"
    changes = {
        "title": f"one {name}" if device.type == "cuda" else name,
        "rates": calibration.rates(timed, base, origin),
    }
    measured = base.model_copy(update=changes)
    with atomic_write(args.output) as (part,):
        text = calibration.hardware_text(measured, args.study, args.base, origin)
        part.write_text(text, encoding="utf-8")
    hardware.load(args.output.stem, args.output.parent)
    print(f"\n{calibration.format_timed(timed)}\n")
    print(f"{args.output}: set `hardware: {args.output.stem}` in config.yaml to plan with it.")
    print(f"Prices, power, partitions and what was not timed are those of {args.base}.")
    seconds = "CPU time" if machine.by_processor(device) else "wall time"
    print(f"Seconds are {seconds}; the load was {load:.1f} on {os.cpu_count()} cores.")
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory / 1e9
        print(f"GPU memory of this card: {memory:.1f} GB.")


if __name__ == "__main__":
    main()

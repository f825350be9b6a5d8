"""What a figure or table would take with what is on disk: jobs, hours, disk, images, money, energy,
per stage. No job is started.

python -m scripts.plan --target figures/digits/teaser.pdf [--hardware laptop] [--html out.html] [--csv out.csv]
    [--override "{digits.generators.diffusion.steps: 10}"] [--profile profiles/slurm]

Speeds, prices and factors stand in profiles/hardware/{hardware}.yaml, each with its origin. A
budget in config.yaml that does not suffice is told, and ends the command with an error unless
--tell. With --override it is the plan of a study that differs in these keys
(synscale/study/overrides.py).
"""

import argparse
from pathlib import Path

import pandas as pd
import yaml

from synscale.cluster import partitions, site
from synscale.planning import dag, hardware, summary, what_if
from synscale.planning.cost_model import PlanError
from synscale.planning.image_sizes import ImageSizes
from synscale.report import html, tables
from synscale.runtime.atomic import atomic_write
from synscale.study import overrides
from synscale.study.load import StudyError, load_study
from synscale.study.models import Study

HEAD = {
    "stage": "stage",
    "jobs": "jobs",
    "gpu_hours": "GPU-hours",
    "core_hours": "core-hours",
    "chain_hours": "longest chain",
    "longest_job_hours": "longest job",
    "allocations": "allocations",
    "images": "images made",
    "disk_kept_gb": "disk kept, GB",
    "disk_peak_gb": "disk at most, GB",
    "money": "money",
    "kwh": "kWh",
    "co2_kg": "kg CO2",
    "partition": "partition",
}
TIMES = {"chain_hours", "longest_job_hours"}


def amount(value) -> str:
    """Three digits; whole numbers as they are."""
    if isinstance(value, str):
        return value
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{float(f'{value:.3g}'):,}"
        if value >= 0.001
        else f"{value:.1g}"
        if value
        else "0"
    )


def duration(hours: float) -> str:
    seconds = hours * summary.HOUR
    return (
        f"{seconds:.0f} s"
        if seconds < 100
        else f"{seconds / 60:.0f} min"
        if hours < 2
        else f"{hours:,.0f} h"
    )


def shown_rows(rows: list[dict], currency: str, gpus: bool) -> str:
    """Markdown. GPU-hours are left out if no job uses any, allocations if no job needs several."""
    several = any(row["allocations"] > 1 for row in rows)
    columns = [
        key for key in HEAD if (gpus or key != "gpu_hours") and (several or key != "allocations")
    ]
    table = pd.DataFrame(
        [
            {HEAD[key]: duration(row[key]) if key in TIMES else amount(row[key]) for key in columns}
            for row in rows
        ]
    )
    return tables.markdown(table.rename(columns={"money": currency}))


def warnings(jobs: list[summary.Job], found: dict[str, summary.Cost]) -> list[str]:
    """Rules that cannot resume and whose longest job is planned to take more than they request."""
    longest: dict[str, tuple[float, float]] = {}
    for job in jobs:
        minutes = found[job.key].seconds / 60
        if job.rule in partitions.RESUMABLE:
            continue
        if job.to_run and job.runtime is not None and minutes > job.runtime:
            longest[job.rule] = max(longest.get(job.rule, (0.0, 0.0)), (minutes, job.runtime))
    return [
        f"{rule}: the longest job is planned to take {amount(own)} minutes, its rule asks for {amount(asked)}."
        for rule, (own, asked) in longest.items()
    ]


def text(
    files: list[str],
    jobs: list[summary.Job],
    found: dict,
    machine: hardware.Hardware,
    smaller: list[dict],
    over: str,
    changed: str = "",
    sizes: str = "",
    cluster: site.Site | None = None,
) -> list[str]:
    """Paragraphs of the page, heading first."""
    rows = summary.table(jobs, found, machine)
    gpus = any(row["gpu_hours"] for row in rows)
    total, done = rows[-2:]
    ahead = [job for job in jobs if job.to_run]
    seconds, chain = summary.longest_chain(
        ahead, {key: cost.seconds for key, cost in found.items()}
    )
    steps = pd.DataFrame(
        [{"job": key, "seconds": amount(found[key].seconds)} for key in chain if found[key].seconds]
    )
    used = {rate for job in ahead for rate in machine.rates_of(job.rule, found[job.key].work)}
    rates = pd.DataFrame([rate.model_dump() for rate in machine.rates if rate in used])
    factors = pd.DataFrame(
        [
            {"factor": key} | value
            for key, value in machine.model_dump().items()
            if isinstance(value, dict)
        ]
    )
    named = (
        ", ".join(files) if len(files) < 4 else f"{len(files)} files of {Path(files[0]).parts[1]}"
    )
    told = (
        f"{total['jobs']} jobs are left to do on: {html.literal(machine.title)}. "
        f"{done['jobs']} jobs that they build on are done already and are not counted again."
    )
    return [
        f"# Plan of {named}",
        *(
            [
                f"**Of a changed study, override = {html.literal(changed)}:** not the one in its file."
            ]
            if changed
            else []
        ),
        told,
        *([f"**{html.literal(over)}**"] if over else []),
        shown_rows(rows, machine.currency, gpus),
        *warnings(jobs, found),
        *partitions.misfits(jobs, cluster),
        *partitions.report(jobs, found),
        "Disk at most: if all jobs ran at once. Hours are of wall time with one core a job; money, energy and CO2 follow from the factors below.",
        *([html.literal(sizes)] if sizes else []),
        "## What a smaller study would take",
        shown_rows([total, *smaller], machine.currency, gpus),
        f"## Longest chain: {duration(seconds / summary.HOUR)}, whatever the number of machines",
        tables.markdown(steps) if len(steps) else "Nothing is left to do.",
        "## Speeds that were used",
        tables.markdown(rates) if len(rates) else "None.",
        "## Factors",
        tables.markdown(factors),
    ]


def stored_otherwise(studies: dict[str, Study], changes: dict) -> set[str]:
    """Return the names of the studies that an override makes store images in another way."""
    files = {name: load_study(f"studies/{name}.yaml") for name in changes}
    keys = ("image_size", "channels", "storage")
    return {
        name
        for name, study in files.items()
        if any(getattr(study, key) != getattr(studies[name], key) for key in keys)
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--target", required=True, nargs="+", help="files, such as figures/digits/teaser.pdf"
    )
    parser.add_argument(
        "--hardware", help="name of a file of profiles/hardware; config.yaml's by default"
    )
    parser.add_argument(
        "--budget", type=yaml.safe_load, help="such as '{core_hours: 2}'; config.yaml's by default"
    )
    parser.add_argument(
        "--override",
        help="keys of a study that are otherwise, such as '{digits.generators.diffusion.steps: 10}'",
    )
    parser.add_argument(
        "--tell", action="store_true", help="end well where the budget does not suffice"
    )
    parser.add_argument("--profile", help="folder of a SLURM profile: plan for its site.yaml")
    parser.add_argument("--set-resources", nargs="*", help="as of Snakemake: train_clip:gpu=16")
    parser.add_argument("--set-threads", nargs="*", help="as of Snakemake: train_clip=64")
    parser.add_argument("--html")
    parser.add_argument("--csv")
    args = parser.parse_args(arguments)
    config = yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8")) or {}
    budget = config.get("budget") if args.budget is None else args.budget

    over = ""
    try:
        cluster = site.of_profile(Path(args.profile)) if args.profile else site.current()
        machine = hardware.load(args.hardware or config.get("hardware", "laptop"))
        changes = overrides.read(args.override)
        studies = {
            path.stem: overrides.load(path, changes)
            for path in sorted(Path("studies").glob("*.yaml"))
        }
        settings = ({"hardware": args.hardware} if args.hardware else {}) | (
            {"override": changes} if changes else {}
        )
        jobs = dag.ask(args.target, settings, args.set_resources, args.set_threads)
        if strange := changes.keys() - {job.wildcards.get("study") for job in jobs}:
            raise StudyError(
                f"override = {overrides.text(changes)}: no job of the plan is of the study {', '.join(strange)}: name the study that is planned"
            )
        sizes = ImageSizes(skipped=stored_otherwise(studies, changes))
        found = summary.costs(jobs, studies, machine, sizes)
        smaller = what_if.table(jobs, studies, machine, sizes)
        rows = summary.table(jobs, found, machine)
        summary.within(budget or {}, rows[-2])
    except summary.OverBudget as error:
        over = str(error)
    except (PlanError, StudyError, site.SiteError) as error:
        raise SystemExit(str(error)) from None
    changed = overrides.text(changes) if changes else ""
    described = sizes.described()
    paragraphs = text(args.target, jobs, found, machine, smaller, over, changed, described, cluster)
    if args.html:
        with atomic_write(args.html) as (part,):
            part.write_text(
                html.page(paragraphs[0].lstrip("# "), "\n\n".join(paragraphs)), encoding="utf-8"
            )
    if args.csv:
        with atomic_write(args.csv) as (part,):
            pd.DataFrame([*rows, *smaller]).assign(
                **{"override": changed} if changed else {}
            ).to_csv(part, index=False, float_format="%.6g")
    print("\n\n".join(paragraphs[: paragraphs.index("## What a smaller study would take")]))
    if over and not args.tell:
        raise SystemExit(over)


if __name__ == "__main__":
    main()

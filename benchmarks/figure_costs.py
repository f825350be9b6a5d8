"""Tables of figures with their planned cost, in docs/guides/run_the_paper.md and README.md.

python -m benchmarks.figure_costs [--study NAME] [--hardware a100] [--output PAGE.md]

One plan of all figures: a job that two figures need is counted for both in GPU-hours, and once in
GPU-hours after the figures above. Run it again when costs or the study change; it takes a minute.
It needs a folder without results.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from synscale.planning import dag, hardware, summary
from synscale.planning.summary import Cost, Job
from synscale.report.captions import paper_items
from synscale.runtime.atomic import atomic_write
from synscale.study.load import load_study
from synscale.study.models import Study
from synscale.study.models.figures import Figures
from synscale.workflow.settings import figures as figure_settings

README = Path("README.md")
START, END = "<!-- written by benchmarks.figure_costs -->", "<!-- end -->"
HEAD = (
    "| figure | jobs | GPU-hours | of them not in a figure above |\n|---|---|---|---|",
    "| {name} | {jobs:,} | {gpu_hours} | {added} |",
)


@dataclass(frozen=True)
class FigureCost:
    """What one figure takes on its own, and after all figures that cost less."""

    name: str
    jobs: int
    gpu_hours: float
    added_gpu_hours: float


def needed_jobs(key: str, jobs: dict[str, Job]) -> set[str]:
    """Return the keys of a job and of all jobs that it needs, directly or not."""
    keys: set[str] = set()
    stack = [key]
    while stack:
        next_key = stack.pop()
        if next_key not in keys:
            keys.add(next_key)
            stack += jobs[next_key].needs
    return keys


def figure_costs(names: list[str], jobs: list[Job], costs: dict[str, Cost]) -> list[FigureCost]:
    """Return the cost of each figure, the cheapest first.

    Parameters
    ----------
    names : list of str
        Names of figures, each drawn by a job of rule plot_{name} or with the name as a wildcard.
    jobs : list of Job
        The jobs of all figures.
    costs : dict of str to Cost
        Cost of each job, by its key.
    """

    def hours(keys: set[str]) -> float:
        return sum(costs[key].seconds * costs[key].work.gpus for key in keys) / summary.HOUR

    by_key = {job.key: job for job in jobs}
    keys = {}
    for name in names:
        (key,) = (j.key for j in jobs if j.rule == f"plot_{name}" or name in j.wildcards.values())
        keys[name] = {need for need in needed_jobs(key, by_key) if by_key[need].to_run}
    rows, above = [], set()
    for name in sorted(names, key=lambda name: (hours(keys[name]), len(keys[name]), name)):
        rows.append(FigureCost(name, len(keys[name]), hours(keys[name]), hours(keys[name] - above)))
        above |= keys[name]
    return rows


def hours_on_real_images(study: Study, jobs: list[Job], costs: dict[str, Cost]) -> float:
    """Return the GPU-hours of trainings of classifiers on real images only."""
    real = {name for name, source in study.sources.items() if source.kind == "real"}
    trainings = [job for job in jobs if job.rule == "train_classifiers"]
    on_real = [costs[job.key] for job in trainings if job.wildcards["source"] in real]
    return sum(cost.seconds * cost.work.gpus for cost in on_real) / summary.HOUR


def planned(study_name: str, machine_name: str) -> tuple[list[FigureCost], float]:
    """Plan every figure of a study of the working directory, for a file of profiles/hardware.

    Returns
    -------
    costs : list of FigureCost
        The cheapest figure first.
    real : float
        GPU-hours of trainings of classifiers on real images only, of all figures.
    """
    study = load_study(f"studies/{study_name}.yaml")
    names = list(figure_settings.names_of(study.figures))
    files = [f"figures/{study_name}/{name}.pdf" for name in names]
    jobs = dag.ask(files, {"study": study_name, "hardware": machine_name})
    machine = hardware.load(machine_name)
    costs = summary.costs(jobs, {study_name: study}, machine)
    return figure_costs(names, jobs, costs), hours_on_real_images(study, jobs, costs)


def three_digits(hours: float) -> str:
    return f"{float(f'{hours:.3g}'):,.0f}" if hours >= 100 else f"{hours:.3g}"


def markdown(rows: list[FigureCost]) -> str:
    """Return the table of figures in the order of `rows`."""
    head, line = HEAD
    lines = [
        line.format(
            name=row.name,
            jobs=row.jobs,
            gpu_hours=three_digits(row.gpu_hours),
            added=three_digits(row.added_gpu_hours),
        )
        for row in rows
    ]
    return "\n".join([head, *lines])


def replace_table(page: str, table: str) -> str:
    """Return a page with a table between its two markers."""
    before, rest = page.split(START)
    _, after = rest.split(END)
    indent = before[before.rfind("\n") + 1 :]
    lines = [START, *table.splitlines(), "", END]
    indented = "\n".join(f"{indent}{line}".rstrip() for line in lines)
    return before + indented.strip() + after


def readme_table(paper: list[FigureCost], digits: list[FigureCost]) -> str:
    """Return the table of README: every figure with its cost in two studies.

    Parameters
    ----------
    paper : list of FigureCost
        Figures of the paper's study.
    digits : list of FigureCost
        Figures of the digits study.
    """
    hours = {row.name: three_digits(row.gpu_hours) for row in paper}
    jobs = {row.name: row.jobs for row in digits}
    lines = [
        "| figure | shows | item of the paper | jobs of digits | GPU-hours of imagenet |",
        "|---|---|---|---|---|",
    ]
    for name, field in Figures.model_fields.items():
        row = paper_items()[name]
        is_added = row["section"] == "Beyond the paper"
        item = "none" if is_added else row["paper_item"] or row["evidence"] or "not known"
        cells = [f"`{name}.pdf`", str(field.description), item, jobs.get(name, "-")]
        lines.append("| " + " | ".join(map(str, [*cells, hours.get(name, "-")])) + " |")
    return "\n".join(lines)


def write(page: Path, table: str) -> None:
    """Replace the table of a page."""
    text = replace_table(page.read_text(encoding="utf-8"), table)
    with atomic_write(page) as (part,):
        part.write_text(text, encoding="utf-8")


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--study", default="imagenet", help="name of a study (default: imagenet)")
    parser.add_argument("--hardware", default="a100", help="file of profiles/hardware (a100)")
    parser.add_argument("--output", default="docs/guides/run_the_paper.md", type=Path)
    args = parser.parse_args()
    rows, real = planned(args.study, args.hardware)
    hours = three_digits(real)
    baselines = f"Classifiers trained on real images only take {hours} GPU-hours of these."
    table = f"{markdown(rows)}\n\n{baselines}"
    write(args.output, table)
    write(README, readme_table(rows, planned("digits", "laptop")[0]))
    print(table)


if __name__ == "__main__":
    main()

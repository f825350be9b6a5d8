"""Plan a figure or table with what is on disk: jobs, hours, disk, images, money, energy per stage.

python -m scripts.plan --target figures/digits/teaser.pdf [--hardware laptop] [--html out.html]
    [--csv out.csv] [--override "{digits.generators.diffusion.steps: 10}"]
    [--profile profiles/slurm]

No job is started. Speeds, prices and factors are in profiles/hardware/{hardware}.yaml, each with
its origin. A plan over the budget of config.yaml ends the command with an error unless
--allow-over-budget. With --override it is the plan of a study that differs in these keys
(synscale/study/overrides.py).
"""

import argparse
from pathlib import Path

import pandas as pd
import yaml

from synscale.cluster import site
from synscale.planning import budget, dag, hardware, plan_page
from synscale.planning.cost_model import PlanError
from synscale.report import html
from synscale.runtime.atomic import atomic_write
from synscale.study import overrides
from synscale.study.load import StudyError


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    options.add_argument("--target", required=True, nargs="+", help="files, such as a figure")
    options.add_argument("--hardware", help="file of profiles/hardware (default: config.yaml's)")
    options.add_argument(
        "--budget",
        type=yaml.safe_load,
        help="limits in place of config.yaml's, such as '{core_hours: 2}'",
    )
    options.add_argument("--override", help="changed keys of a study")
    options.add_argument(
        "--allow-over-budget",
        action="store_true",
        help="report a plan over the budget, without an error",
    )
    options.add_argument("--profile", help="folder of a SLURM profile: plan for its site.yaml")
    options.add_argument("--set-resources", nargs="*", help="as of Snakemake: train_clip:gpu=16")
    options.add_argument("--set-threads", nargs="*", help="as of Snakemake: train_clip=64")
    options.add_argument("--html", help="page to write")
    options.add_argument("--csv", help="table to write")
    return options


def create(args: argparse.Namespace, config: dict) -> plan_page.Plan:
    """Return the plan that the command line asks for."""
    cluster = site.of_profile(Path(args.profile)) if args.profile else site.current()
    machine = hardware.load(args.hardware or config.get("hardware", "laptop"))
    changes = overrides.read(args.override)
    paths = sorted(Path("studies").glob("*.yaml"))
    studies = {path.stem: overrides.load(path, changes) for path in paths}
    settings = {"hardware": args.hardware} if args.hardware else {}
    if changes:
        settings["override"] = changes
    jobs = dag.ask(args.target, settings, args.set_resources, args.set_threads)
    return plan_page.create(args.target, studies, machine, changes, jobs, cluster)


def main(arguments: list[str] | None = None) -> None:
    """Print the plan and write its page and table."""
    args = parser().parse_args(arguments)
    config = yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8")) or {}
    try:
        limits = budget.read_budget(config.get("budget") if args.budget is None else args.budget)
        plan = create(args, config)
    except (PlanError, StudyError, site.SiteError) as error:
        raise SystemExit(str(error)) from None
    rows = plan.rows
    is_within, comparison = budget.compare(limits, rows[-2])
    over_budget = "" if is_within else f"budget: {comparison}"
    if args.html:
        with atomic_write(args.html) as (part,):
            text = "\n\n".join([*plan.paragraphs(over_budget), *plan.details()])
            part.write_text(html.page(plan.title, text), encoding="utf-8")
    if args.csv:
        table = pd.DataFrame([*rows, *plan.smaller])
        if plan.override:
            table["override"] = plan.override
        with atomic_write(args.csv) as (part,):
            table.to_csv(part, index=False, float_format="%.6g")
    print("\n\n".join(plan.short(over_budget)))
    if not (is_within or args.allow_over_budget):
        raise SystemExit(f"budget: {comparison}")


if __name__ == "__main__":
    main()

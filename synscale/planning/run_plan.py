"""The plan of a run: a table at the end of a dry run, and one line at the start of a run.

Both come from Snakemake's graph of jobs, without a second planning run.
"""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from synscale.cluster import submission
from synscale.planning import dag, hardware, plan_table, summary
from synscale.planning.cost_model import PlanError
from synscale.planning.estimates import ResourceEstimates
from synscale.planning.image_sizes import ImageSizes
from synscale.runtime import environment
from synscale.study.models import Study

WIDTH = 120  # characters of a line
LISTED = 3  # targets that a command names
FIGURES, TABLES = ("figures", ".pdf"), ("tables", ".csv")


@dataclass(frozen=True)
class RunPlan:
    """Costs of the jobs of a run.

    Parameters
    ----------
    rows : list of dict
        From `summary.table`; the last but one is the total.
    machine : Hardware
    machine_name : str
        Its file of profiles/hardware.
    on_gpus : list of str
        Studies whose jobs to run request GPUs.
    """

    rows: list[dict]
    machine: hardware.Hardware
    machine_name: str
    on_gpus: list[str]

    @property
    def total(self) -> dict:
        """Sum of the jobs that are left to do."""
        return self.rows[-2]

    def gpu_problem(self) -> str:
        """Return what is wrong if jobs request GPUs and the hardware has none."""
        if not self.on_gpus or self.machine.has_gpus:
            return ""
        return str(hardware.without_gpus(self.machine_name, self.on_gpus[0]))


def create(graph, studies: dict[str, Study], config: dict) -> RunPlan:
    """Compute the costs of the jobs of a run.

    Parameters
    ----------
    graph : snakemake.dag.DAG
    studies : dict of str to Study
    config : dict
        Content of config.yaml.

    Raises
    ------
    PlanError
        If a job has no speed.
    """
    name = config.get("hardware", "laptop")
    machine = hardware.load(name)
    jobs = dag.from_snakemake(graph, scheduled=False)
    costs = summary.costs(jobs, studies, machine, ImageSizes())
    on_gpus = {job.wildcards["study"] for job in jobs if job.to_run and costs[job.key].work.gpus}
    return RunPlan(summary.table(jobs, costs, machine), machine, name, sorted(on_gpus))


def page_command(targets: list[str], study: str) -> str:
    """Return the command that writes the page of the same plan.

    Parameters
    ----------
    targets : list of str
        Requested files; none are all figures and tables of the study.
    study : str
        The study of config.yaml.
    """
    if not targets or targets == ["all"]:
        return f"snakemake plan/{study}/all.html"
    paths = [Path(target) for target in targets[:LISTED]]
    more = ["..."] * (len(targets) > LISTED)
    if all(path.parts[0] in ("figures", "tables") and len(path.parts) == 3 for path in paths):
        pages = [f"plan/{path.parts[1]}/{path.stem}.html" for path in paths]
        return " ".join(["snakemake", *dict.fromkeys(pages), *more])
    return " ".join(["python -m scripts.plan --html plan.html --target", *map(str, paths), *more])


def show_table(workflow, studies: dict[str, Study], config: dict) -> None:
    """Print the table of a dry run.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    studies : dict of str to Study
    config : dict
        Content of config.yaml.
    """
    if not environment.switch(config, "show_plan"):
        return
    targets = sorted(map(str, workflow.dag_settings.targets))
    try:
        plan = create(workflow.dag, studies, config)
    except PlanError as error:
        _print([f"No plan: {error}"])
        return
    if not plan.total["jobs"]:
        return
    names = [*targets[:LISTED], *["..."] * (len(targets) > LISTED)]
    title = f"Plan of {', '.join(names) or 'study ' + config['study']}"
    command = page_command(targets, config["study"])
    _print(
        [
            plan_table.text(title, plan.rows, plan.machine),
            plan.gpu_problem(),
            f"Hardware: profiles/hardware/{plan.machine_name}.yaml (`hardware` in config.yaml). "
            "Hours are wall time with one core per job.",
            f"Full page, with the same options: {command}",
        ]
    )


def show_start(workflow, studies: dict[str, Study], config: dict) -> None:
    """Print what a run is about to do and how long it takes. Parameters as of `show_table`."""
    if not environment.switch(config, "show_plan"):
        return
    try:
        plan = create(workflow.dag, studies, config)
    except PlanError as error:
        _print([f"No estimate of the time: {error}"])
        return
    outputs = [str(file) for job in workflow.dag.needrun_jobs() for file in job.output]
    cores = workflow.resource_settings.cores if workflow.local_exec else None
    print(start_line(plan, outputs, cores), flush=True)


def start_line(plan: RunPlan, outputs: Iterable[str], cores: int | None) -> str:
    """Return what a run is about to do and how long it takes.

    Parameters
    ----------
    plan : RunPlan
    outputs : iterable of str
        Files that the run writes.
    cores : int or None
        Cores of this machine; None if jobs run on others.
    """
    paths = [Path(output) for output in outputs]
    kinds = [(path.parts[0], path.suffix) for path in paths]
    counts = {"figure": kinds.count(FIGURES), "table": kinds.count(TABLES)}
    results = " and ".join(
        f"{count} {name}{'s' * (count > 1)}" for name, count in counts.items() if count
    )
    done = plan.rows[-1]["jobs"]
    jobs = f"{plan.total['jobs']:,} jobs to run" + (f", {done:,} done already" if done else "")
    hours, where = plan.total["chain_hours"], "with any number of machines"
    if cores:
        hours, where = max(hours, plan.total["core_hours"] / cores), f"on {cores} cores"
    return (
        f"{results or 'No figure or table'}: {jobs}, about {plan_table.format_hours(hours)} "
        f"{where} ({plan.machine.title}, hardware: {plan.machine_name})"
    )


def _print(paragraphs: list[str]) -> None:
    """Print paragraphs, and break long lines."""
    lines = "\n\n".join(filter(None, paragraphs)).splitlines()
    wrapped = [textwrap.wrap(line, WIDTH, break_long_words=False) or [""] for line in lines]
    print("", *(line for part in wrapped for line in part), sep="\n", flush=True)


def after_dry_run(
    workflow, studies: dict[str, Study], estimates: ResourceEstimates, config: dict
) -> None:
    """Print warnings of the scheduler, the plan, and the comparison with the budget.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    studies : dict of str to Study
    estimates : ResourceEstimates
    config : dict
        Content of config.yaml.
    """
    for warning in submission.warnings(workflow.dag, estimates):
        print(warning)
    show_table(workflow, studies, config)
    dag.check_budget(workflow.dag, studies, config, dry_run=True)

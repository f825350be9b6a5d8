"""What happens around a run of Snakemake: checks before it plans, and messages after it.

Snakemake has hooks for the start, success and failure of a run, but none that knows the requested
files, none in a dry run, and none for Ctrl-C. `install` wraps `Workflow.execute` for these.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import strip_wildcard_constraints
from snakemake.settings.types import DeploymentMethod, ExecMode

from synscale.runtime import gpu_lock
from synscale.study.models import Study
from synscale.workflow import requested
from synscale.workflow.targets import NotInStudy

RESUME = "Run the same command again to resume"
RESULTS = ("figures/", "tables/")
_INTERRUPTS: list[bool] = []  # for each Ctrl-C, whether a job had failed before it


def install(workflow, studies: dict[str, Study], after_dry_run: Callable[[], None]) -> None:
    """Wrap the run of a workflow in the checks and messages of this module.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        The workflow, after its last rule.
    studies : dict of str to Study
        The studies by name.
    after_dry_run : callable
        Called at the end of a dry run.
    """
    execute = workflow.execute

    def run(*, executor_plugin, **settings):
        if workflow.exec_mode != ExecMode.DEFAULT:
            return execute(executor_plugin=executor_plugin, **settings)
        check_requested(workflow, studies)
        check_containers(workflow)
        executor = executor_plugin.common_settings
        if executor.local_exec and not executor.dryrun_exec and not executor.touch_exec:
            limit_gpus(workflow)
        with _noted_interrupts(workflow):
            result = execute(executor_plugin=executor_plugin, **settings)
        if executor.dryrun_exec:
            after_dry_run()
        return result

    workflow.execute = run


@contextmanager
def _noted_interrupts(workflow) -> Iterator[None]:
    """Note Ctrl-C, which Snakemake reports as a failed run."""
    previous = signal.getsignal(signal.SIGINT)
    if not callable(previous) or threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number, frame):
        _INTERRUPTS.append(_failed(workflow))
        previous(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def check_requested(workflow, studies: dict[str, Study]) -> None:
    """Raise WorkflowError with every requested file that no rule makes.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        The workflow with the settings of its command line.
    studies : dict of str to Study
        The studies by name.
    """
    dag, scheduling = workflow.dag_settings, workflow.scheduling_settings
    files = [*dag.targets, *dag.forcerun, *dag.until, *dag.omit_from]
    files += list(scheduling.prioritytargets) if scheduling else []
    rules = {rule.name for rule in workflow.rules}
    files = [str(file) for file in files if file not in rules]
    if not files:
        return
    try:
        requested.check(files, list(forms(workflow.rules)), studies)
    except NotInStudy as error:
        raise WorkflowError(str(error)) from None
    for file in filter(os.path.exists, files):
        if file.startswith("results/") and not any(
            rule.is_producer(file) for rule in workflow.rules
        ):
            fix = "remove it, or add --config published_results=false skip_finished_shards=false"
            raise WorkflowError(f"{file}: exists, and no rule creates it as it is finished; {fix}")


def forms(rules: Iterable) -> Iterable[requested.Form]:
    """Yield every form of path that Snakemake's rules make, logs and benchmarks included."""
    for rule in rules:
        for product in rule.products():
            yield requested.Form(rule.name, strip_wildcard_constraints(str(product)))


def check_containers(workflow) -> None:
    """Raise WorkflowError if containers are requested but rules name none.

    Snakemake would run these rules on the host and not say so.
    """
    methods = workflow.deployment_settings.deployment_method
    if DeploymentMethod.APPTAINER not in methods:
        return
    missing = [rule.name for rule in workflow.rules if not rule.container_img and not rule.norun]
    if missing:
        rules = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if missing[5:] else "")
        raise WorkflowError(
            f"--software-deployment-method apptainer: {len(missing)} rules have no container and "
            f"would run on the host ({rules}); "
            "set `container:` in config.yaml, or leave the option out"
        )


def limit_gpus(workflow) -> None:
    """Let no more jobs run at once than this machine, or its mask, has GPUs for."""
    visible = len(gpu_lock.Machine().visible())
    limit = workflow.global_resources.get("gpu")
    value = limit.value if limit is not None else None
    if visible and (value is None or value > visible):
        workflow.register_resource("gpu", visible)


def check_local_gpus(workflow) -> None:
    """Raise WorkflowError if jobs are about to start here that need a GPU torch cannot use.

    Otherwise every one of them would fail by itself. Call it when a run starts.
    """
    if not workflow.local_exec or workflow.deployment_settings.deployment_method:
        return
    jobs = workflow.dag.needrun_jobs(exclude_finished=False)
    requests = {job.rule.name: job.resources.get("gpu") for job in jobs}
    needy = sorted(rule for rule, gpu in requests.items() if isinstance(gpu, int) and gpu > 0)
    if not needy or gpu_lock.Machine().visible() or gpu_lock.cpu_allowed():
        return
    # Without /dev/nvidia*, torch may still find a GPU, for example under WSL or of AMD.
    script = "from synscale.runtime import torch_setup; torch_setup.require_cuda(1)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().split("\n") or [""])[-1]
        raise WorkflowError(f"{', '.join(needy)}: {reason}. No job was started")


def success(workflow) -> str:
    """Return what to print after a run without failures: folders of the requested results."""
    outputs = [file for job in workflow.dag.jobs for file in job.output]
    if workflow.touch:
        missing = [file for file in outputs if not os.path.exists(file)]
        note = f"; {len(missing)} do not exist, such as {missing[0]}" if missing else ""
        return f"--touch marks existing files as up to date and creates none{note}"
    files = [file for file in outputs if file.startswith(RESULTS) and os.path.exists(file)]
    folders = sorted({f"{Path(file).parent}/" for file in files})
    return f"Results are in {', '.join(folders)}" if folders else ""


def _failed(workflow) -> bool:
    return bool(workflow.scheduler and workflow.scheduler.failed)


def failure(workflow) -> str:
    """Return what to print after a run that ended early, whether or not a job failed."""
    terminated = getattr(workflow.scheduler, "_user_kill", None)  # by SIGTERM
    if (_INTERRUPTS and not _INTERRUPTS[0]) or (terminated and not _failed(workflow)):
        return f"Interrupted. {RESUME}"
    return f"A job failed; see the log path above. {RESUME}"

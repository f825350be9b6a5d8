"""Snakemake's graph of the jobs of a study, outside of a run of Snakemake."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.settings.enums import RerunTrigger
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    ExecutionSettings,
    OutputSettings,
    ResourceSettings,
)

# As in profiles/default, which programs other than the command line do not read.
TRIGGERS = frozenset({RerunTrigger.MTIME, RerunTrigger.PARAMS, RerunTrigger.INPUT})


@contextmanager
def graph_of(targets: list[str], folder: Path = Path(), **config) -> Iterator:
    """Yield Snakemake's graph of the jobs of a workflow, in its folder, after a silent dry run.

    Parameters
    ----------
    targets : list of str
        Files; none for every figure and table.
    folder : Path
        Folder of the workflow.
    **config
        Replaces keys of config.yaml.

    Raises
    ------
    SystemExit
        If Snakemake cannot plan the files; it has printed the reason.
    """
    output = OutputSettings(dryrun=True, log_level_override=40, enable_file_logging=False)
    with SnakemakeApi(output) as api:
        try:
            workflow = api.workflow(
                ResourceSettings(cores=1),
                ConfigSettings(config={"show_plan": False, "budget": {}} | config),
                snakefile=folder / "Snakefile",
                workdir=folder,
            )
            dag = workflow.dag(
                DAGSettings(
                    targets=frozenset(targets), force_incomplete=True, rerun_triggers=TRIGGERS
                )
            )
            dag.execute_workflow(
                pseudo_executor="dryrun", execution_settings=ExecutionSettings(lock=False)
            )
        except Exception as error:
            api.print_exception(error)
            raise SystemExit(1) from None
        yield workflow._workflow.dag  # the only private attribute that is used

"""Apply a site file to the resources of a Snakemake run.

A profile cannot do this by itself: an option on the command line, such as `--set-resources`,
replaces all entries of the profile, and a profile does not know which studies use GPUs.
"""

import re
import subprocess
from collections.abc import Collection, Mapping

from snakemake.resources import Resource, Resources
from snakemake.settings.types import ResourceSettings

from synscale.cluster.site import Site, SiteError, expressions
from synscale.workflow import rule_names


def apply(settings: ResourceSettings, site: Site, gpu_studies: Collection[str], study: str) -> None:
    """Add the entries of a site file to a run. Entries of the command line take precedence.

    Call it before the first rule is defined.

    Parameters
    ----------
    settings : ResourceSettings
        Resources of the run, changed in place.
    site : Site
        The site of the run.
    gpu_studies : collection of str
        Studies whose jobs ask for a GPU.
    study : str
        The study of jobs that have no wildcard `study`.

    Raises
    ------
    SiteError
        If the command line names a rule that the workflow does not have, which Snakemake ignores.
    """
    options = {
        "--set-resources": settings.overwrite_resources,
        "--set-threads": settings.overwrite_threads,
    }
    rules = rule_names.rules()
    problems = []
    for option, entries in options.items():
        for rule in entries.keys() - rules.keys():
            problems.append(f"{option}: {rule}: {rule_names.unknown('rule', rule, tuple(rules))}")
    if problems:
        raise SiteError("\n".join(problems))
    defaults = Resources.default("full")  # Snakemake adds them to every --default-resources
    set_defaults = {
        name: value
        for name, value in Resources.from_mapping(settings.default_resources or {}).items()
        if name not in defaults or value.raw != defaults[name].raw
    }
    settings.default_resources = Resources({**defaults, **merge(site.defaults(), set_defaults)})
    resources = site.rule_resources()
    for rule in rule_names.rules_with("gpu"):
        of_gpu = gpu_resources(site, rule, gpu_studies, study)
        resources[rule] = of_gpu | resources.get(rule, {})
    overrides = settings.overwrite_resources
    merged = {}
    for rule in sorted({*overrides, *resources}):
        of_command_line = Resources.from_mapping(overrides.get(rule, {}))
        merged[rule] = merge(resources.get(rule, {}), of_command_line)
    settings.overwrite_resources = merged
    settings.overwrite_threads = site.set_threads | dict(settings.overwrite_threads)


def gpu_resources(
    site: Site, rule: str, gpu_studies: Collection[str], study: str
) -> dict[str, int | str]:
    """Return GPU type and node features of a rule, as expressions that are None without a GPU.

    Parameters
    ----------
    site : Site
        The site of the run.
    rule : str
        A rule whose jobs request a GPU if their study or `set-resources` of the site does.
    gpu_studies : collection of str
        Studies whose jobs ask for a GPU.
    study : str
        The study of jobs that have no wildcard `study`.
    """
    requests = {"gpu_model": site.gpu_model, "constraint": site.constraint}
    values = expressions({name: value for name, value in requests.items() if value is not None})
    if site.set_resources.get(rule, {}).get("gpu"):
        return values
    condition = f"wildcards.get('study', {study!r}) in {sorted(gpu_studies)!r}"
    return {name: f"{value} if {condition} else None" for name, value in values.items()}


def require_gpu_option() -> None:
    """Raise SiteError if this SLURM refuses `sbatch --gpus`, by which the plugin requests GPUs."""
    try:
        command = ["scontrol", "show", "config"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return
    select = re.search(r"^SelectType\s*=\s*(\S+)", answer.stdout, re.MULTILINE)
    if select and select[1] in ("select/linear", "select/cons_res"):
        raise SiteError(
            f"slurm.conf: SelectType = {select[1]}: this SLURM accepts GPU requests by sbatch "
            "--gres only (expected select/cons_tres), which version 2.8 of "
            "snakemake-executor-plugin-slurm cannot make; use another cluster, or "
            "run in an allocation with --profile profiles/gpus"
        )


def merge(entries: dict[str, int | str], overrides: Mapping[str, Resource]) -> Resources:
    """Return resources of the site, replaced one by one by those of the command line.

    Parameters
    ----------
    entries : dict
        Resources of the site, resource -> value as Snakemake's command line takes it.
    overrides : mapping of str to Resource
        Resources of the command line.
    """
    expressions = [f"{name}={value}" for name, value in entries.items()]
    return Resources({**Resources.parse(expressions, allow_expressions=True), **overrides})

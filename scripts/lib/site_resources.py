"""Apply a site file to the resources of a Snakemake run.

A profile cannot do this by itself: an option on the command line, such as `--set-resources`, replaces all
entries of the profile, and a profile does not know which studies use GPUs.
"""

from collections.abc import Collection, Mapping

from snakemake.resources import Resource, Resources
from snakemake.settings.types import ResourceSettings

from scripts.lib import site_check
from scripts.lib.site import Site, SiteError, expressions


def apply(settings: ResourceSettings, site: Site, gpu_studies: Collection[str], study: str) -> None:
    """Add the entries of a site file to the resources of a run. Entries of the command line take precedence.

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
    problems = [
        f"{option}: {rule}: {site_check.unknown('rule', rule, tuple(site_check.rules()))}"
        for option, given in options.items()
        for rule in given
        if rule not in site_check.rules()
    ]
    if problems:
        raise SiteError("\n".join(problems))
    usual = Resources.default("full")  # Snakemake adds them to every --default-resources
    given = Resources.from_mapping(settings.default_resources or {})
    given = {name: value for name, value in given.items() if name not in usual or value.raw != usual[name].raw}
    settings.default_resources = Resources({**usual, **merge(site.defaults(), given)})
    rules = set(settings.overwrite_resources) | set(site.set_resources) | set(site_check.rules_with("gpu"))
    ours = site.rule_resources()
    for rule in site_check.rules_with("gpu"):
        ours[rule] = gpu_resources(site, rule, gpu_studies, study) | ours.get(rule, {})
    settings.overwrite_resources = {
        rule: merge(ours.get(rule, {}), Resources.from_mapping(settings.overwrite_resources.get(rule, {}))) for rule in sorted(rules)
    }
    settings.overwrite_threads = site.set_threads | dict(settings.overwrite_threads)


def gpu_resources(site: Site, rule: str, gpu_studies: Collection[str], study: str) -> dict[str, str]:
    """Return GPU type and node features of the jobs of a rule, as expressions that are None without a GPU.

    Parameters
    ----------
    site : Site
        The site of the run.
    rule : str
        A rule whose jobs ask for a GPU if their study does, or if `set-resources` of the site says so.
    gpu_studies : collection of str
        Studies whose jobs ask for a GPU.
    study : str
        The study of jobs that have no wildcard `study`.
    """
    wanted = {"gpu_model": site.gpu_model, "constraint": site.constraint}
    values = expressions({name: value for name, value in wanted.items() if value is not None})
    if site.set_resources.get(rule, {}).get("gpu"):
        return values
    asks = f"wildcards.get('study', {study!r}) in {sorted(gpu_studies)!r}"
    return {name: f"{value} if {asks} else None" for name, value in values.items()}


def merge(ours: dict[str, int | str], given: Mapping[str, Resource]) -> Resources:
    """Return resources of the site, replaced one by one by those that the command line gives."""
    parsed = Resources.parse([f"{name}={value}" for name, value in ours.items()], allow_expressions=True)
    return Resources({**parsed, **given})

# Estimates of the resources of jobs (synscale/planning/resources.py), and the cluster.

from synscale.cluster import allocation, site, site_resources
from synscale.planning.cost_model import PlanError
from synscale.planning.estimates import ResourceEstimates

HARDWARE = config.get("hardware", "laptop")

if workflow.remote_exec:  # this process runs inside a job that Snakemake submitted
    allocation.permit()

try:
    SITE = site.current()
    if SITE is not None:
        # Snakemake limits threads by the cores of this machine, but jobs run on other machines.
        workflow.global_resources["_cores"] = None
        GPU_STUDIES = [name for name, study in STUDIES.items() if study.gpus]
        site_resources.apply(workflow.resource_settings, SITE, GPU_STUDIES, config["study"])
except site.SiteError as error:
    raise WorkflowError(str(error)) from None

try:
    # A lambda, because the rules do not exist yet.
    ESTIMATES = ResourceEstimates(
        STUDIES, HARDWARE, SITE, lambda rule: workflow.get_rule(rule).resources
    )
except PlanError as error:
    raise WorkflowError(f"config.yaml: {error}") from None

# On a cluster, plan a study that uses GPUs only for hardware with GPUs.
check_study = None if SITE is None else ESTIMATES.check_hardware
studies.configure(STUDIES, config["study"], check_study)
resources.configure(ESTIMATES)

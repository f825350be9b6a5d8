# Definitions for all rules: the studies, which are checked before any job is planned, and the
# values of wildcards.

import gc
import os
import sys

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod, ExecMode

# Environment modules set PYTHONPATH to packages of another Python. They must not shadow the
# packages of this one.
FOREIGN = {os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep)}
sys.path[:] = [workflow.basedir, *(path for path in sys.path if path not in FOREIGN)]
from synscale.planning import resources
from synscale.report import captions
from synscale.runtime import environment
from synscale.workflow import digests, figure_inputs, hooks, inputs, published, studies
from synscale.workflow.code_inputs import Script
from synscale.workflow.settings.figures import names_of

try:
    environment.check(config)
    environment.prepare(config.get("paths"))
    environment.tensorboard(config)
    CONTAINER = environment.container(
        config, DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method
    )
    STUDIES = studies.load_all(config)
    USES_PUBLISHED = environment.switch(config, "published_results")
    PUBLISHED = published.current_results(STUDIES) if USES_PUBLISHED else []
except ValueError as error:
    raise WorkflowError(str(error)) from None

# The objects of a plan live until its end. Garbage collection took a quarter of the planning time.
gc.set_threshold(1_000_000)
# Facts for report/*.rst. They are in no rule's params, so that no caption makes a job run again.
config["facts"] = captions.CaptionFacts(STUDIES)
FIGURES = names_of(STUDIES[config["study"]].figures)
TABLES = names_of(STUDIES[config["study"]].tables)


published.use_excerpts(PUBLISHED)
# Jobs of a run that has been planned create what they were planned for.
GIVEN = PUBLISHED if workflow.exec_mode == ExecMode.DEFAULT else []


wildcard_constraints:
    study=published.pattern(STUDIES, GIVEN),
    recipe=r"[a-z0-9_]+",
    generator=r"[a-z0-9_]+",
    source=r"[a-z0-9_]+",
    split=r"[a-z0-9_]+",
    shard=r"(g[0-9_e+-]+-)?\d{5}",
    group=r"[a-z0-9_.-]+",
    law=r"[a-z0-9_]+",
    checkpoint=r"[a-z0-9_]+",
    scaling=r"[a-z]+_scaling",

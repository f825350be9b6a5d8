# How much is one more synthetic training image worth, compared with a real one?
#
# prompts -> image shards -> classifiers and CLIP models -> metrics -> fitted laws -> figures.
# studies/{study}.yaml defines what is compared; a profile defines where it runs. Request a figure
# by its path: figures/{study}/{figure}.pdf

from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.27")

if not (Path("synscale").is_dir() and Path("config.yaml").is_file()):
    raise WorkflowError(
        f"{Path.cwd()}: is not a folder of this workflow (no synscale or no config.yaml); "
        f"start snakemake in {workflow.basedir}, or add --directory {workflow.basedir}"
    )


configfile: "config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"


if CONTAINER:

    container: CONTAINER


include: "rules/resources.smk"
include: "rules/report.smk"
include: "rules/data.smk"
include: "rules/prompt_models.smk"
include: "rules/prompts.smk"
include: "rules/generate.smk"
include: "rules/selection.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/clip.smk"
include: "rules/score.smk"
include: "rules/flags.smk"
include: "rules/laws.smk"
include: "rules/figures_images.smk"
include: "rules/figures_scaling.smk"
include: "rules/tables.smk"
include: "rules/author_checkpoints.smk"
include: "rules/provenance.smk"
include: "rules/calibrate.smk"
include: "rules/plan.smk"


rule all:
    default_target: True
    input:
        figures=expand("figures/{study}/{figure}.pdf", study=config["study"], figure=FIGURES),
        tables=expand("tables/{study}/{table}.csv", study=config["study"], table=TABLES),
        provenance=f"provenance/{config['study']}.html",
    localrule: True


onsuccess:
    if message := hooks.success(workflow):
        print(message)


onerror:
    print(hooks.failure(workflow))


hooks.install(
    workflow, STUDIES, lambda: run_plan.after_dry_run(workflow, STUDIES, ESTIMATES, config)
)

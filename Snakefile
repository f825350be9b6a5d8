# How much is one more synthetic training image worth, next to a real one?
#
# prompts -> image shards -> classifiers and CLIP models -> metrics -> fitted laws -> figures. What is studied stands in studies/{study}.yaml, where it
# runs in a profile. Ask for one figure by its path: figures/{study}/{figure}.pdf

from snakemake.utils import min_version

min_version("9.27")


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
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/clips.smk"
include: "rules/score.smk"
include: "rules/released.smk"
include: "rules/flags.smk"
include: "rules/laws.smk"
include: "rules/figures_images.smk"
include: "rules/figures_scaling.smk"
include: "rules/tables.smk"
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
    shown_in = sorted(
        {Path(file).parent for job in workflow.dag.jobs for file in job.output if file.startswith(("figures/", "tables/"))}
    )
    if shown_in:
        print("What was asked for is in", ", ".join(f"{folder}/" for folder in shown_in))


onerror:
    print(f"A job failed. Its log is named above; running the same command again goes on where it stopped.")

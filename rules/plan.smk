# in:  the study, the files on disk, profiles/hardware/{hardware}.yaml of config.yaml
# out: plan/{study}/{name}.{html,csv}: jobs, hours, disk, images, money and energy of a figure, a
#      table or `all`
#
# A plan starts no job of its target. A run that exceeds the budget of config.yaml stops before its
# first job. To plan a changed study, use --config
# override="{imagenet.generators.stable_diffusion.steps: 25}" (plans and dry runs only).

import json
import time

from synscale.cluster import submission
from synscale.planning import dag as plans
from synscale.planning import run_plan, time_left
from synscale.study import overrides
from synscale.workflow import listing, preflight


# These values are lambdas because they belong to the run (its time, config and options) and not to
# a study. In plain texts, Snakemake would read their braces as wildcards.
rule plan:
    output:
        html="plan/{study}/{name}.html",
        csv="plan/{study}/{name}.csv",
    log:
        "logs/{study}/plan/{name}.log",
    benchmark:
        "logs/{study}/plan/{name}.tsv"
    wildcard_constraints:
        name=r"[a-z0-9_]+",
    localrule: True  # where the workflow and its results are
    conda:
        "../envs/plan.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        time=lambda _: time.time(),  # differs each time: a plan describes what is on disk now
        targets=figure_inputs.planned_targets,
        budget=lambda _: json.dumps(config.get("budget") or {}),
        override=lambda _: overrides.text(config.get("override")),
        resources=lambda _: submission.set_resources(workflow.resource_settings),
        threads=lambda _: submission.set_threads(workflow.resource_settings),
    shell:
        f"python -m scripts.plan --hardware {HARDWARE} --target {{params.targets:q}} "
        "--budget {params.budget:q} --override {params.override:q} --allow-over-budget "
        "--set-resources {params.resources:q} --set-threads {params.threads:q} "
        "--html {output.html:q} --csv {output.csv:q} > {log:q} 2>&1"


onstart:
    submission.check_gpus(workflow, ESTIMATES, config["study"])
    hooks.check_local_gpus(workflow)
    plans.check_override(workflow.dag, config.get("override"))
    plans.check_budget(workflow.dag, STUDIES, config)
    submission.check(workflow.dag, ESTIMATES)
    preflight.check_data_sets(workflow.dag, STUDIES)
    run_plan.show_start(workflow, STUDIES, config)


plans.show_jobs(workflow.output_settings)
listing.shorten(workflow.output_settings)
time_left.show(workflow, STUDIES, HARDWARE)

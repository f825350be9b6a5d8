# in:  the study, what lies on disk, profiles/hardware/{hardware}.yaml of config.yaml
# out: plan/{study}/{name}.{html,csv}: what a figure, a table or `all` would take: jobs, hours, disk, images, money, energy
#
# No job of the target is started. A run that would take more than config.yaml's budget stops before
# its first job. What a study would take that is not quite this one: --config
# override="{imagenet.generators.stable_diffusion.steps: 25}", which is for plans and dry runs
# alone.

import json
import time

from synscale.planning import dag as plans
from synscale.cluster import submission

HARDWARE = config.get("hardware", "laptop")


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
    localrule: True  # where the workflow and its results lie
    conda:
        "../envs/plan.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        asked=lambda _: time.time(),  # another one each time: a plan is of what lies on disk now
        targets=needed(lambda name, study, wildcards: plans.targets(study, wildcards.name)),
        budget=lambda _: json.dumps(config.get("budget") or {}),
        override=lambda _: overrides.text(config.get("override")),
        resources=lambda _: submission.options(
            workflow.resource_settings._parsed_overwrite_resources, ":"
        ),
        threads=lambda _: submission.options(workflow.resource_settings._parsed_overwrite_threads),
    shell:
        f"python -m scripts.plan --hardware {HARDWARE} "
        "--target {params.targets:q} --budget {params.budget:q} --override {params.override:q} --allow-over-budget "
        "--set-resources {params.resources:q} --set-threads {params.threads:q} --html {output.html:q} --csv {output.csv:q} > {log:q} 2>&1"


onstart:
    check_hardware_of(workflow.dag.needrun_jobs())
    hooks.check_local_gpus(workflow)
    plans.check_override(workflow.dag, config.get("override"))
    plans.check_budget(workflow.dag, STUDIES, config)
    submission.check(workflow.dag, LIMITS)
    preflight.guard(workflow.dag, STUDIES)


plans.show_jobs(workflow.output_settings)
submission.show(workflow, LIMITS)

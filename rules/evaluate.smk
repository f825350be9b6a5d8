# in:  classifiers of one group; evaluation sets
# out: results/{study}/metrics/{source}/{group}.parquet: top-1 and cross-entropy of each run, overall and per class

from synscale.workflow.settings.evaluation import evaluation_settings


rule evaluate:
    input:
        models="results/{study}/classifiers/{source}/{group}",
        tars=classified_tars,
    output:
        metrics="results/{study}/metrics/{source}/{group}.parquet",
    log:
        "logs/{study}/evaluate/{source}-{group}.log",
    benchmark:
        "logs/{study}/evaluate/{source}-{group}.tsv"
    priority: EVALUATE
    conda:
        "../envs/torch.yaml"
    threads: evaluation_threads
    resources:
        mem_mb=growing(lambda _, threads: 3000 + 1000 * threads),
        runtime=LIMITS.runtime("evaluate", 60),
        gpu_hours=LIMITS.gpu_hours("evaluate"),
        gpu=gpus,
    params:
        planned=planned(evaluation_settings, "source", "group"),
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.evaluate "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} --group {wildcards.group} --planned {params.planned} "
        "--models {input.models:q} --sets {input.tars:q} "
        "--output {output.metrics:q} --state .state/{wildcards.study}/metrics/{wildcards.source}/{wildcards.group} "
        "--threads {threads} > {log:q} 2>&1"

# in:  classifiers of one batch; evaluation sets
# out: results/{study}/metrics/{source}/{batch}.parquet: top-1 and cross-entropy of each run, overall and per class


rule evaluate:
    input:
        models="results/{study}/classifiers/{source}/{batch}",
        tars=classified_tars,
    output:
        metrics="results/{study}/metrics/{source}/{batch}.parquet",
    log:
        "logs/{study}/evaluate/{source}-{batch}.log",
    benchmark:
        "logs/{study}/evaluate/{source}-{batch}.tsv"
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
        planned=planned(jobs.evaluation_settings, "source", "batch"),
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.evaluate "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} --batch {wildcards.batch} --planned {params.planned} "
        "--models {input.models:q} --sets {input.tars:q} "
        "--output {output.metrics:q} --state .state/{wildcards.study}/metrics/{wildcards.source}/{wildcards.batch} "
        "--threads {threads} > {log:q} 2>&1"

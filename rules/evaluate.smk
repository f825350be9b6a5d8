# in:  classifiers of one group; evaluation sets
# out: results/{study}/metrics/{source}/{group}.parquet: top-1 and cross-entropy of each run,
#      overall and per class


rule evaluate:
    input:
        models="results/{study}/classifiers/{source}/{group}",
        tars=inputs.classified_tars,
    output:
        metrics="results/{study}/metrics/{source}/{group}.parquet",
    log:
        "logs/{study}/evaluate/{source}-{group}.log",
    benchmark:
        "logs/{study}/evaluate/{source}-{group}.tsv"
    priority: resources.priority
    conda:
        "../envs/torch.yaml"
    threads: resources.evaluation_threads
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
        gpu_hours=resources.gpu_hours,
        gpu=resources.gpu,
    params:
        settings_digest=digests.evaluate,
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.evaluate "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} "
        "--group {wildcards.group} --settings-digest {params.settings_digest} "
        "--models {input.models:q} --sets {input.tars:q} --output {output.metrics:q} "
        "--state .state/{wildcards.study}/metrics/{wildcards.source}/{wildcards.group} "
        "--threads {threads} > {log:q} 2>&1"

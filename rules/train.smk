# in:  image shards of one source, or of those that a mixture is made of
# out: results/{study}/classifiers/{source}/{batch}/{run}.safetensors
#
# A run is a guidance scale, an architecture, a size and a seed. A batch is the runs that share a job: all of an architecture where a
# run takes seconds, a single one where it takes GPU-days (the study's classifiers.runs_per_job). A size is a prefix of the images.


rule train_classifiers:
    input:
        classes=class_table,
        tars=training_tars,
        manifests=manifests(training_tars),
    output:
        models=directory("results/{study}/classifiers/{source}/{batch}"),
    log:
        "logs/{study}/train_classifiers/{source}-{batch}.log",
    benchmark:
        "logs/{study}/train_classifiers/{source}-{batch}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=gpus,
    params:
        planned=planned(jobs.classifier_settings, "source", "batch"),
        state=".state/{study}/classifiers/{source}/{batch}",
    shell:
        "python -m scripts.train_classifiers --study studies/{wildcards.study}.yaml --source {wildcards.source} --batch {wildcards.batch} --planned {params.planned} "
        "--classes {input.classes:q} --images {input.tars:q} "
        "--output {output.models:q} --state {params.state:q} --threads {threads} > {log:q} 2>&1"

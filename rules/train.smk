# in:  image shards of one source, or of those that a mixture is made of
# out: results/{study}/classifiers/{source}/{batch}/{run}.safetensors
#
# A run is a guidance scale, an architecture, a size and a seed. A batch is the runs that share a
# job: all of an architecture where a run takes seconds, a single one where it takes GPU-days (the
# study's classifiers.runs_per_job). A size is a prefix of the images. How many GPUs, nodes and
# threads share a run is the machine's to say: docs/many_gpus.md.


rule list_blocks:
    input:
        before=list_before,
        tars=listed_tars,
    output:
        "results/{study}/blocks/{source}/{block}.csv",
    log:
        "logs/{study}/list_blocks/{source}-{block}.log",
    benchmark:
        "logs/{study}/list_blocks/{source}-{block}.tsv"
    wildcard_constraints:
        study=TO_LIST,
    priority: PREPARE
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("list_blocks", 60),
    params:
        # With `input` among its arguments it is told and does not decide: a list whose blocks are
        # the same is not written again.
        settings=lambda wildcards, input: jobs.digest(
            jobs.list_settings(study_of(wildcards), wildcards.source, wildcards.block)
        ),
    shell:
        "python -m scripts.list_blocks --before {input.before:q} --tars {input.tars:q} --settings {params.settings} --output {output:q} > {log:q} 2>&1"


rule train_classifiers:
    input:
        classes=class_table,
        blocks=training_lists,
    output:
        models=directory("results/{study}/classifiers/{source}/{batch}"),
    log:
        "logs/{study}/train_classifiers/{source}-{batch}.log",
    benchmark:
        "logs/{study}/train_classifiers/{source}-{batch}.tsv"
    priority: TRAIN
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(classifier_mb),
        runtime=LIMITS.runtime("train_classifiers", 120),
        gpu_hours=LIMITS.gpu_hours("train_classifiers"),
        disk_gb=LIMITS.disk_gb("train_classifiers"),
        gpu=gpus,
        nodes=1,
    params:
        planned=planned(jobs.classifier_settings, "source", "batch"),
        state=".state/{study}/classifiers/{source}/{batch}",
    shell:
        "python -m synscale.runtime.launch {resources.gpu} {resources.nodes} {threads} scripts.train_classifiers "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} --batch {wildcards.batch} --planned {params.planned} "
        "--classes {input.classes:q} --blocks {input.blocks:q} "
        "--output {output.models:q} --state {params.state:q} --threads {threads} > {log:q} 2>&1"

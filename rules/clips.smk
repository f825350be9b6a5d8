# in:  image shards with their texts, of one source or of those that a mixture is made of; evaluation sets
# out: results/{study}/clips/{source}/{batch}/{run}.safetensors
#      results/{study}/clip_metrics/{source}/{batch}.parquet: zero-shot top-1 and cross-entropy, on evaluation sets and tasks
#
# Paper, section on CLIP: open_clip's models, trained on real, synthetic, and real and synthetic
# image-text pairs. Runs and batches are as those of classifiers, and so is what of the machine they
# share (train.smk). A set with classes of its own brings tables of them and of texts.


rule train_clips:
    input:
        blocks=training_lists,
    output:
        models=directory("results/{study}/clips/{source}/{batch}"),
    log:
        "logs/{study}/train_clips/{source}-{batch}.log",
    benchmark:
        "logs/{study}/train_clips/{source}-{batch}.tsv"
    priority: TRAIN + 1  # the longest trainings: left for the end, they run while other cores are idle
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(clip_host_mb),
        runtime=LIMITS.runtime("train_clips", 240),
        gpu_hours=LIMITS.gpu_hours("train_clips"),
        disk_gb=LIMITS.disk_gb("train_clips"),
        gpu=gpus,
        nodes=1,
    params:
        planned=planned(jobs.clip_settings, "source", "batch"),
        state=".state/{study}/clips/{source}/{batch}",
    shell:
        "python -m synscale.runtime.launch {resources.gpu} {resources.nodes} {threads} scripts.train_clips "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} --batch {wildcards.batch} --planned {params.planned} "
        "--blocks {input.blocks:q} --output {output.models:q} --state {params.state:q} --threads {threads} > {log:q} 2>&1"


rule evaluate_clips:
    input:
        classes=class_table,
        models="results/{study}/clips/{source}/{batch}",
        tars=evaluation_tars,
        tables=needed(lambda _, study, __: jobs.clip_tables(study)),
    output:
        metrics="results/{study}/clip_metrics/{source}/{batch}.parquet",
    log:
        "logs/{study}/evaluate_clips/{source}-{batch}.log",
    benchmark:
        "logs/{study}/evaluate_clips/{source}-{batch}.tsv"
    priority: EVALUATE
    conda:
        "../envs/torch.yaml"
    threads: evaluation_threads
    resources:
        mem_mb=growing(lambda _, threads: 3000 + 1000 * threads),
        runtime=LIMITS.runtime("evaluate_clips", 60),
        gpu_hours=LIMITS.gpu_hours("evaluate_clips"),
        gpu=gpus,
    params:
        planned=planned(jobs.clip_evaluation_settings, "source", "batch"),
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.evaluate_clips "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} --batch {wildcards.batch} --planned {params.planned} "
        "--classes {input.classes:q} --models {input.models:q} --sets {input.tars:q} "
        "--output {output.metrics:q} --state .state/{wildcards.study}/clip_metrics/{wildcards.source}/{wildcards.batch} "
        "--threads {threads} > {log:q} 2>&1"

# in:  image shards with their texts, of one source or of those that a mixture is made of; evaluation sets
# out: results/{study}/clip/{source}/{group}/{run}.safetensors
#      results/{study}/clip_metrics/{source}/{group}.parquet: zero-shot top-1 and cross-entropy, on evaluation sets and tasks
#
# Paper, section on CLIP: open_clip's models, trained on real, synthetic, and real and synthetic
# image-text pairs. Runs and groups are as those of classifiers, and so is what of the machine they
# share (train.smk). A set with classes of its own brings tables of them and of texts.

from synscale.workflow.settings.evaluation import clip_evaluation_settings, clip_tables
from synscale.workflow.settings.training import clip_settings


rule train_clip:
    input:
        shard_index=training_index_files,
    output:
        models=directory("results/{study}/clip/{source}/{group}"),
    log:
        "logs/{study}/train_clip/{source}-{group}.log",
    benchmark:
        "logs/{study}/train_clip/{source}-{group}.tsv"
    priority: TRAIN + 1  # the longest trainings: left for the end, they run while other cores are idle
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(clip_host_mb),
        runtime=LIMITS.runtime("train_clip", 240),
        gpu_hours=LIMITS.gpu_hours("train_clip"),
        disk_gb=LIMITS.disk_gb("train_clip"),
        gpu=gpus,
        nodes=1,
    params:
        planned=planned(clip_settings, "source", "group"),
        state=".state/{study}/clip/{source}/{group}",
    shell:
        "python -m synscale.runtime.launch {resources.gpu} {resources.nodes} {threads} scripts.train_clip "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} --group {wildcards.group} --planned {params.planned} "
        "--shard-index {input.shard_index:q} --output {output.models:q} --state {params.state:q} --threads {threads} > {log:q} 2>&1"


rule evaluate_clip:
    input:
        classes=class_table,
        models="results/{study}/clip/{source}/{group}",
        tars=evaluation_tars,
        tables=needed(lambda _, study, __: clip_tables(study)),
    output:
        metrics="results/{study}/clip_metrics/{source}/{group}.parquet",
    log:
        "logs/{study}/evaluate_clip/{source}-{group}.log",
    benchmark:
        "logs/{study}/evaluate_clip/{source}-{group}.tsv"
    priority: EVALUATE
    conda:
        "../envs/torch.yaml"
    threads: evaluation_threads
    resources:
        mem_mb=growing(lambda _, threads: 3000 + 1000 * threads),
        runtime=LIMITS.runtime("evaluate_clip", 60),
        gpu_hours=LIMITS.gpu_hours("evaluate_clip"),
        gpu=gpus,
    params:
        planned=planned(clip_evaluation_settings, "source", "group"),
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.evaluate_clip "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} --group {wildcards.group} --planned {params.planned} "
        "--classes {input.classes:q} --models {input.models:q} --sets {input.tars:q} "
        "--output {output.metrics:q} --state .state/{wildcards.study}/clip_metrics/{wildcards.source}/{wildcards.group} "
        "--threads {threads} > {log:q} 2>&1"

# in:  captioned images, or released weights; prompts
# out: results/{study}/generators/{generator}/, a diffusers pipeline that is trained here
#      results/{study}/models/{generator}/, one that others released
#      results/{study}/images/{source}/{shard}.tar (+ .parquet), a shard of images at each guidance scale of the source
#
# A shard is a range of image indices and one job. An image's noise comes from a seed that is a hash
# of source, guidance and index.

from synscale.workflow.paths import pipeline_folder, prompts_file
from synscale.workflow.settings.generation import (
    fetch_settings,
    generation_settings,
    generator_settings,
)
from synscale.workflow.shards import is_pretrained


rule train_generator:
    input:
        classes=class_table,
        tar="results/{study}/data/generator_training/00000.tar",
    output:
        pipeline=directory("results/{study}/generators/{generator}"),
    log:
        "logs/{study}/train_generator/{generator}.log",
    benchmark:
        "logs/{study}/train_generator/{generator}.tsv"
    priority: PREPARE  # the longest chain starts here
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(lambda wc, _: 4000 + LIMITS.saving_mb("train_generator", wc)),
        runtime=LIMITS.runtime("train_generator", 60),
        gpu_hours=LIMITS.gpu_hours("train_generator"),
        disk_gb=LIMITS.disk_gb("train_generator"),
        gpu=gpus,
    params:
        planned=planned(generator_settings, "generator"),
        state=".state/{study}/generators/{generator}",
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.train_generator "
        "--study studies/{wildcards.study}.yaml --generator {wildcards.generator} --planned {params.planned} "
        "--classes {input.classes:q} --images {input.tar:q} "
        "--output {output.pipeline:q} --state {params.state:q} --threads {threads} > {log:q} 2>&1"


rule fetch_generator:
    output:
        pipeline=directory("results/{study}/models/{generator}"),
    log:
        "logs/{study}/fetch_generator/{generator}.log",
    benchmark:
        "logs/{study}/fetch_generator/{generator}.tsv"
    priority: PREPARE
    localrule: True  # compute nodes need have no network; no other rule uses it
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("fetch_generator", 240),
        disk_gb=LIMITS.disk_gb("fetch_generator"),
    params:
        planned=planned(fetch_settings, "generator"),
        record="results/{study}/models/{generator}.sources.csv",  # no output: what a first fetch finds holds for all later ones
    shell:
        "HF_HUB_OFFLINE=0 python -m scripts.fetch_generator --study studies/{wildcards.study}.yaml --generator {wildcards.generator} "
        "--planned {params.planned} --known data/sources.csv --record {params.record:q} --output {output.pipeline:q} > {log:q} 2>&1"


rule generate:
    input:
        pipeline=needed(lambda name, study, wc: pipeline_folder(study, wc.source)),
        prompts=needed(lambda name, study, wc: prompts_file(study, wc.source, wc.shard)),
    output:
        tar="results/{study}/images/{source}/{shard}.tar",
        manifest="results/{study}/images/{source}/{shard}.parquet",
    log:
        "logs/{study}/generate/{source}-{shard}.log",
    benchmark:
        "logs/{study}/generate/{source}-{shard}.tsv"
    priority: first_shards_first(GENERATE)
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(
            lambda wc, _: LIMITS.processes("generate", wc)
            * (40000 if is_pretrained(study_of(wc), wc.source) else 4000)
        ),
        runtime=LIMITS.runtime("generate", 120),
        gpu_hours=LIMITS.gpu_hours("generate"),
        disk_gb=LIMITS.disk_gb("generate"),
        gpu=gpus,
    params:
        classes=class_table,  # no input: the prompts are made from it, and each file that a shard depends on takes a tenth of what it costs to plan one
        planned=planned(generation_settings, "source", "shard"),
        state=".state/{study}/images/{source}/{shard}",
    shell:
        "python -m synscale.runtime.launch {resources.gpu} 1 {threads} scripts.generate "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} --shard {wildcards.shard} --planned {params.planned} "
        "--classes {params.classes:q} --pipeline {input.pipeline:q} "
        "--prompts {input.prompts:q} --output {output.tar:q} --state {params.state:q} --threads {threads} > {log:q} 2>&1"

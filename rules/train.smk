# in:  image shards of one source, or of those that a mixture is made of
# out: results/{study}/classifiers/{source}/{group}/{run}.safetensors
#
# A run is a guidance scale, an architecture, a size and a seed. A group is the runs that share a
# job: all of an architecture where a run takes seconds, a single one where it takes GPU-days (the
# study's classifiers.runs_per_job). A size is a prefix of the images. How many GPUs, nodes and
# threads share a run is the machine's to say: docs/many_gpus.md.

from synscale.workflow.settings.shard_index import shard_index_settings
from synscale.workflow.settings.training import classifier_settings


rule index_shards:
    input:
        before=shard_index_before,
        tars=shards_to_index,
    output:
        "results/{study}/shard_index/{source}/{shard}.csv",
    log:
        "logs/{study}/index_shards/{source}-{shard}.log",
    benchmark:
        "logs/{study}/index_shards/{source}-{shard}.tsv"
    wildcard_constraints:
        study=TO_LIST,
    priority: PREPARE
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("index_shards", 60),
    params:
        # With `input` among its arguments it is told and does not decide: a list whose shards are
        # the same is not written again.
        settings=lambda wildcards, input: digest(
            shard_index_settings(study_of(wildcards), wildcards.source, wildcards.shard)
        ),
    shell:
        "python -m scripts.index_shards --before {input.before:q} --tars {input.tars:q} --settings {params.settings} --output {output:q} > {log:q} 2>&1"


rule train_classifiers:
    input:
        classes=class_table,
        shard_index=training_index_files,
    output:
        models=directory("results/{study}/classifiers/{source}/{group}"),
    log:
        "logs/{study}/train_classifiers/{source}-{group}.log",
    benchmark:
        "logs/{study}/train_classifiers/{source}-{group}.tsv"
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
        planned=planned(classifier_settings, "source", "group"),
        state=".state/{study}/classifiers/{source}/{group}",
    shell:
        "python -m synscale.runtime.launch {resources.gpu} {resources.nodes} {threads} scripts.train_classifiers "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} --group {wildcards.group} --planned {params.planned} "
        "--classes {input.classes:q} --shard-index {input.shard_index:q} "
        "--output {output.models:q} --state {params.state:q} --threads {threads} > {log:q} 2>&1"

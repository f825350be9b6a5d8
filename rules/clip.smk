# in:  image shards with their texts, of one source or of the parts of a mixture; evaluation sets
# out: results/{study}/clip/{source}/{group}/{run}.safetensors
#      results/{study}/clip_histories/{source}/{group}.csv: losses, learning rate and speed by step
#      results/{study}/clip_metrics/{source}/{group}.parquet: zero-shot top-1 and cross-entropy, on
#      evaluation sets and tasks
#
# Paper, section on CLIP: models of open_clip, trained on real pairs, synthetic pairs, and both.
# Runs and groups are defined as for classifiers (train.smk). An evaluation set with other classes
# than the study has tables of its classes and of its texts.


rule train_clip:
    input:
        classes=inputs.class_table,
        shard_index=inputs.training_indexes,
        held_out=inputs.held_out,
    output:
        models=directory("results/{study}/clip/{source}/{group}"),
        histories="results/{study}/clip_histories/{source}/{group}.csv",
    log:
        "logs/{study}/train_clip/{source}-{group}.log",
    benchmark:
        "logs/{study}/train_clip/{source}-{group}.tsv"
    priority: resources.priority
    conda:
        "../envs/torch.yaml"
    threads: resources.training_threads
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
        gpu_hours=resources.gpu_hours,
        disk_gb=resources.disk_gb,
        gpu=resources.gpu,
        nodes=1,
    params:
        settings_digest=digests.train_clip,
        state=".state/{study}/clip/{source}/{group}",
    shell:
        "python -m synscale.runtime.launch {resources.gpu} {resources.nodes} {threads} "
        "scripts.train_clip "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} "
        "--group {wildcards.group} --settings-digest {params.settings_digest} "
        "--classes {input.classes:q} --shard-index {input.shard_index:q} "
        "--held-out {input.held_out:q} --output {output.models:q} --histories {output.histories:q} "
        "--state {params.state:q} --threads {threads} > {log:q} 2>&1"


rule evaluate_clip:
    input:
        classes=inputs.class_table,
        models="results/{study}/clip/{source}/{group}",
        tars=inputs.evaluation_tars,
        tables=inputs.clip_class_tables,
    output:
        metrics="results/{study}/clip_metrics/{source}/{group}.parquet",
    log:
        "logs/{study}/evaluate_clip/{source}-{group}.log",
    benchmark:
        "logs/{study}/evaluate_clip/{source}-{group}.tsv"
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
        settings_digest=digests.evaluate_clip,
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.evaluate_clip "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} "
        "--group {wildcards.group} --settings-digest {params.settings_digest} "
        "--classes {input.classes:q} --models {input.models:q} --sets {input.tars:q} "
        "--output {output.metrics:q} "
        "--state .state/{wildcards.study}/clip_metrics/{wildcards.source}/{wildcards.group} "
        "--threads {threads} > {log:q} 2>&1"

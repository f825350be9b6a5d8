# in:  image shards of one source, or of the parts of a mixture
# out: results/{study}/shard_index/{source}/{shard}.csv: index of the shards up to this one
#      results/{study}/classifiers/{source}/{group}/{run}.safetensors
#      results/{study}/histories/{source}/{group}.csv: losses, learning rate and speed by step
#
# A run is a guidance scale, an architecture, a size and a seed. A size is a prefix of the images. A
# group contains the runs of one job: all runs of an architecture if a run takes seconds, those
# of a curve if it takes minutes, or a single run if it takes GPU-days (classifiers.runs_per_job of the study). The profile sets the
# GPUs, nodes and threads of a job: docs/guides/several_gpus.md.

from synscale.workflow import finished_shards

# Only the process that plans may skip finished shards; its jobs must not.
SKIP = environment.switch(config, "skip_finished_shards") and workflow.exec_mode == ExecMode.DEFAULT


rule index_shards:
    input:
        before=inputs.previous_index,
        tars=inputs.shards_to_index,
    output:
        "results/{study}/shard_index/{source}/{shard}.csv",
    log:
        "logs/{study}/index_shards/{source}-{shard}.log",
    benchmark:
        "logs/{study}/index_shards/{source}-{shard}.tsv"
    wildcard_constraints:
        study=finished_shards.unfinished(STUDIES, SKIP),
    priority: resources.priority
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
    params:
        settings_digest=digests.index_shards,
    shell:
        "python -m scripts.index_shards --before {input.before:q} --tars {input.tars:q} "
        "--settings-digest {params.settings_digest} --output {output:q} > {log:q} 2>&1"


rule train_classifiers:
    input:
        classes=inputs.class_table,
        shard_index=inputs.training_indexes,
        held_out=inputs.held_out,
    output:
        models=directory("results/{study}/classifiers/{source}/{group}"),
        histories="results/{study}/histories/{source}/{group}.csv",
    log:
        "logs/{study}/train_classifiers/{source}-{group}.log",
    benchmark:
        "logs/{study}/train_classifiers/{source}-{group}.tsv"
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
        settings_digest=digests.train_classifiers,
        state=".state/{study}/classifiers/{source}/{group}",
    shell:
        "python -m synscale.runtime.launch {resources.gpu} {resources.nodes} {threads} "
        "scripts.train_classifiers "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} "
        "--group {wildcards.group} --settings-digest {params.settings_digest} "
        "--classes {input.classes:q} --shard-index {input.shard_index:q} "
        "--held-out {input.held_out:q} --output {output.models:q} --histories {output.histories:q} "
        "--state {params.state:q} --threads {threads} > {log:q} 2>&1"

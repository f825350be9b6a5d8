# in:  captioned images, or downloaded weights; prompts
# out: results/{study}/generators/{generator}/: a diffusers pipeline, trained by the workflow
#      results/{study}/generator_histories/{generator}.csv: losses, learning rate, speed by step
#      results/{study}/lora/{generator}/: LoRA weights of a generator that is fine-tuned
#      results/{study}/lora_histories/{generator}.csv: their history
#      results/{study}/models/{generator}/: a downloaded pipeline
#      results/{study}/images/{source}/{shard}.tar (+ .parquet): images at each guidance scale
#
# A shard is a range of image indices, and one job generates it. The seed of an image is a hash of
# source, guidance and index.


rule train_generator:
    input:
        classes=inputs.class_table,
        tars=inputs.generator_images,
        held_out=inputs.held_out,
    output:
        pipeline=directory("results/{study}/generators/{generator}"),
        history="results/{study}/generator_histories/{generator}.csv",
    log:
        "logs/{study}/train_generator/{generator}.log",
    benchmark:
        "logs/{study}/train_generator/{generator}.tsv"
    priority: resources.priority
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
        gpu_hours=resources.gpu_hours,
        disk_gb=resources.disk_gb,
        gpu=resources.gpu,
    params:
        settings_digest=digests.train_generator,
        state=".state/{study}/generators/{generator}",
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.train_generator "
        "--study studies/{wildcards.study}.yaml --generator {wildcards.generator} "
        "--settings-digest {params.settings_digest} --classes {input.classes:q} "
        "--images {input.tars:q} --held-out {input.held_out:q} --output {output.pipeline:q} "
        "--history {output.history:q} --state {params.state:q} --threads {threads} "
        "> {log:q} 2>&1"


rule finetune_generator:
    input:
        classes=inputs.class_table,
        base=inputs.base_pipeline,
        tars=inputs.tuning_images,
        held_out=inputs.held_out,
    output:
        weights=directory("results/{study}/lora/{generator}"),
        history="results/{study}/lora_histories/{generator}.csv",
    log:
        "logs/{study}/finetune_generator/{generator}.log",
    benchmark:
        "logs/{study}/finetune_generator/{generator}.tsv"
    priority: resources.priority
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
        gpu_hours=resources.gpu_hours,
        disk_gb=resources.disk_gb,
        gpu=resources.gpu,
    params:
        settings_digest=digests.finetune_generator,
        state=".state/{study}/lora/{generator}",
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.finetune_generator "
        "--study studies/{wildcards.study}.yaml --generator {wildcards.generator} "
        "--settings-digest {params.settings_digest} --classes {input.classes:q} "
        "--base {input.base:q} --images {input.tars:q} --held-out {input.held_out:q} "
        "--output {output.weights:q} --history {output.history:q} --state {params.state:q} "
        "--threads {threads} > {log:q} 2>&1"


rule fetch_generator:
    output:
        pipeline=directory("results/{study}/models/{generator}"),
    log:
        "logs/{study}/fetch_generator/{generator}.log",
    benchmark:
        "logs/{study}/fetch_generator/{generator}.tsv"
    priority: resources.priority
    localrule: True  # compute nodes may have no network
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
        disk_gb=resources.disk_gb,
    params:
        settings_digest=digests.fetch_generator,
        # No output, because Snakemake would delete it: later downloads must match the first one.
        record="results/{study}/models/{generator}.sources.csv",
    shell:
        "HF_HUB_OFFLINE=0 python -m scripts.fetch_generator --study studies/{wildcards.study}.yaml "
        "--generator {wildcards.generator} --settings-digest {params.settings_digest} "
        "--known data/sources.csv --record {params.record:q} --output {output.pipeline:q} "
        "> {log:q} 2>&1"


rule generate:
    input:
        pipeline=inputs.pipeline,
        prompts=inputs.prompts,
    output:
        tar="results/{study}/images/{source}/{shard}.tar",
        manifest="results/{study}/images/{source}/{shard}.parquet",
    log:
        "logs/{study}/generate/{source}-{shard}.log",
    benchmark:
        "logs/{study}/generate/{source}-{shard}.tsv"
    priority: resources.priority
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
        gpu_hours=resources.gpu_hours,
        disk_gb=resources.disk_gb,
        gpu=resources.gpu,
    params:
        # No input: the prompts depend on the class table, and each input file of a shard takes a
        # tenth of its planning time.
        classes=inputs.class_table,
        settings_digest=digests.generate,
        state=".state/{study}/images/{source}/{shard}",
    shell:
        "python -m synscale.runtime.launch {resources.gpu} 1 {threads} scripts.generate "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} "
        "--shard {wildcards.shard} --settings-digest {params.settings_digest} "
        "--classes {params.classes:q} --pipeline {input.pipeline:q} --prompts {input.prompts:q} "
        "--output {output.tar:q} --state {params.state:q} --threads {threads} > {log:q} 2>&1"

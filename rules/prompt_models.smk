# in:  models on the hub or in folders of the user; the class table; real training images
# out: results/{study}/prompt_models/{recipe}/: a model that transformers can load
#      results/{study}/sentences/{recipe}.parquet: sentences about each class name, written by a T5
#      results/{study}/captions/{recipe}/{shard}.parquet: captions of a shard of real training
#      images, written by a BLIP-2
#
# Paper, section on prompts: word to sentence (after He et al., arXiv 2210.07574), captions of
# ImageNet images.


rule fetch_model:
    input:
        local=inputs.local_model,
    output:
        model=directory("results/{study}/prompt_models/{recipe}"),
    log:
        "logs/{study}/fetch_model/{recipe}.log",
    benchmark:
        "logs/{study}/fetch_model/{recipe}.tsv"
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
        settings_digest=digests.fetch_model,
        record="results/{study}/prompt_models/{recipe}.sources.csv",  # as in fetch_generator
    shell:
        "HF_HUB_OFFLINE=0 python -m scripts.fetch_model --study studies/{wildcards.study}.yaml "
        "--recipe {wildcards.recipe} --settings-digest {params.settings_digest} "
        "--known data/sources.csv --record {params.record:q} --output {output.model:q} "
        "> {log:q} 2>&1"


rule write_sentences:
    input:
        classes=inputs.class_table,
        model="results/{study}/prompt_models/{recipe}",
    output:
        sentences="results/{study}/sentences/{recipe}.parquet",
    log:
        "logs/{study}/write_sentences/{recipe}.log",
    benchmark:
        "logs/{study}/write_sentences/{recipe}.tsv"
    priority: resources.priority
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
        gpu_hours=resources.gpu_hours,
        gpu=resources.gpu,
    params:
        settings_digest=digests.prompts,
        state=".state/{study}/sentences/{recipe}",
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.write_sentences "
        "--study studies/{wildcards.study}.yaml --recipe {wildcards.recipe} "
        "--settings-digest {params.settings_digest} --classes {input.classes:q} "
        "--model {input.model:q} --output {output.sentences:q} --state {params.state:q} "
        "--threads {threads} > {log:q} 2>&1"


rule caption_images:
    input:
        model="results/{study}/prompt_models/{recipe}",
        tar=inputs.captioned_shard,
    output:
        captions="results/{study}/captions/{recipe}/{shard}.parquet",
    log:
        "logs/{study}/caption_images/{recipe}-{shard}.log",
    benchmark:
        "logs/{study}/caption_images/{recipe}-{shard}.tsv"
    priority: resources.priority
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
        gpu_hours=resources.gpu_hours,
        gpu=resources.gpu,
    params:
        settings_digest=digests.prompts,
        state=".state/{study}/captions/{recipe}-{shard}",
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.caption_images "
        "--study studies/{wildcards.study}.yaml --recipe {wildcards.recipe} "
        "--settings-digest {params.settings_digest} --model {input.model:q} --images {input.tar:q} "
        "--output {output.captions:q} --state {params.state:q} --threads {threads} > {log:q} 2>&1"

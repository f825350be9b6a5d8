# in:  captioned images; prompts
# out: results/{study}/generators/{generator}/, a diffusers pipeline
#      results/{study}/images/{source}/{block}.tar (+ .parquet), a block of images at each guidance scale of the source
#
# A block is a range of image indices and one job. An image's noise comes from a seed that is a hash of source, guidance and index.


rule train_generator:
    input:
        classes=class_table,
        tar="results/{study}/data/generator_training.tar",
        manifest="results/{study}/data/generator_training.parquet",
    output:
        pipeline=directory("results/{study}/generators/{generator}"),
    log:
        "logs/{study}/train_generator/{generator}.log",
    benchmark:
        "logs/{study}/train_generator/{generator}.tsv"
    priority: 20  # the longest chain starts here
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
        gpu=gpus,
    params:
        planned=planned(jobs.generator_settings, "generator"),
        state=".state/{study}/generators/{generator}",
    shell:
        "python -m scripts.train_generator --study studies/{wildcards.study}.yaml --generator {wildcards.generator} --planned {params.planned} "
        "--classes {input.classes:q} --images {input.tar:q} "
        "--output {output.pipeline:q} --state {params.state:q} --threads {threads} > {log:q} 2>&1"


rule generate:
    input:
        classes=class_table,
        pipeline=lambda wc: f"results/{wc.study}/generators/{study_of(wc).sources[wc.source].generator}",
        prompts=lambda wc: f"results/{wc.study}/prompts/{study_of(wc).sources[wc.source].recipe}.parquet",
    output:
        tar="results/{study}/images/{source}/{block}.tar",
        manifest="results/{study}/images/{source}/{block}.parquet",
    log:
        "logs/{study}/generate/{source}-{block}.log",
    benchmark:
        "logs/{study}/generate/{source}-{block}.tsv"
    priority: 10
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=gpus,
    params:
        planned=planned(jobs.generation_settings, "source", "block"),
    shell:
        "python -m scripts.generate --study studies/{wildcards.study}.yaml --source {wildcards.source} --block {wildcards.block} --planned {params.planned} "
        "--classes {input.classes:q} --pipeline {input.pipeline:q} "
        "--prompts {input.prompts:q} --output {output.tar:q} --threads {threads} > {log:q} 2>&1"

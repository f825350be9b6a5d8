# in:  image shards; the safety checker of a released pipeline, where the study names one
# out: results/{study}/flags/{source}/{shard}.parquet: of each image, whether the checker takes it for not safe for work, and its score
#
# Made on request alone, by their paths. Safety checkers are off while images are made, and no rule
# reads a flag.

from synscale.workflow.settings.generation import checker_settings, flag_settings


rule fetch_safety_checker:
    output:
        checker=directory("results/{study}/safety_checker"),
    log:
        "logs/{study}/fetch_safety_checker.log",
    benchmark:
        "logs/{study}/fetch_safety_checker.tsv"
    localrule: True
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("fetch_safety_checker", 60),
    params:
        planned=planned(checker_settings),
        record="results/{study}/safety_checker.sources.csv",  # as of fetch_generator
    shell:
        "HF_HUB_OFFLINE=0 python -m scripts.fetch_safety_checker --study studies/{wildcards.study}.yaml "
        "--planned {params.planned} --known data/sources.csv --record {params.record:q} --output {output.checker:q} > {log:q} 2>&1"


rule flag_images:
    input:
        tar="results/{study}/images/{source}/{shard}.tar",
        manifest="results/{study}/images/{source}/{shard}.parquet",
        checker="results/{study}/safety_checker",
    output:
        flags="results/{study}/flags/{source}/{shard}.parquet",
    log:
        "logs/{study}/flag_images/{source}-{shard}.log",
    benchmark:
        "logs/{study}/flag_images/{source}-{shard}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=LIMITS.runtime("flag_images", 60),
        gpu_hours=LIMITS.gpu_hours("flag_images"),
        gpu=gpus,
    params:
        planned=planned(flag_settings, "source"),
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.flag_images "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} --planned {params.planned} "
        "--images {input.tar:q} --checker {input.checker:q} "
        "--output {output.flags:q} --threads {threads} > {log:q} 2>&1"

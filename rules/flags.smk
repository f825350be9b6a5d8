# in:  image shards; the safety checker of a downloaded pipeline, if the study names one
# out: results/{study}/flags/{source}/{shard}.parquet: the checker's score of each image, and
#      whether it is flagged as not safe for work
#
# These files are created only on request. Safety checkers are off during generation, and no rule
# reads a flag.


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
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
    params:
        settings_digest=digests.fetch_safety_checker,
        record="results/{study}/safety_checker.sources.csv",  # as in fetch_generator
    shell:
        "HF_HUB_OFFLINE=0 python -m scripts.fetch_safety_checker "
        "--study studies/{wildcards.study}.yaml --settings-digest {params.settings_digest} "
        "--known data/sources.csv --record {params.record:q} --output {output.checker:q} "
        "> {log:q} 2>&1"


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
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
        gpu_hours=resources.gpu_hours,
        gpu=resources.gpu,
    params:
        settings_digest=digests.flag_images,
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.flag_images "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} "
        "--settings-digest {params.settings_digest} --images {input.tar:q} "
        "--checker {input.checker:q} --output {output.flags:q} --threads {threads} > {log:q} 2>&1"

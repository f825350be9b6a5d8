# in:  a shard of generated images; the model that selects: the reference classifier of the scores,
#      or a CLIP model of the study
# out: results/{study}/selected/{source}/{shard}.tar: link to the shard of generated images
#      results/{study}/selected/{source}/{shard}.parquet: manifest of the selected images, with the
#      score of each and its number in the source
#
# Readers find images by their place in the manifest, so no image is copied. Windows of consecutive
# images keep the same number each: a shard depends on no other one.


rule select_images:
    input:
        tar=inputs.unselected_tar,
        model=inputs.selecting_model,
    output:
        tar="results/{study}/selected/{source}/{shard}.tar",
        manifest="results/{study}/selected/{source}/{shard}.parquet",
    log:
        "logs/{study}/select_images/{source}-{shard}.log",
    benchmark:
        "logs/{study}/select_images/{source}-{shard}.tsv"
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
        settings_digest=digests.select_images,
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.select_images "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} "
        "--shard {wildcards.shard} --settings-digest {params.settings_digest} "
        "--images {input.tar:q} --model {input.model:q} --output {output.tar:q} "
        "--threads {threads} > {log:q} 2>&1"

# in:  image shards of one source; the evaluation set to compare with; the reference classifier,
#      trained on real images or downloaded
# out: results/{study}/reference/: a downloaded reference that timm can load
#      results/{study}/scores/{source}.json: recognizability and diversity at each guidance scale,
#      overall and per class; FID, LPIPS, precision, recall
#
# The scores of `real` are those of an evaluation set, because the reference was trained on the
# training images.


rule fetch_reference:
    output:
        model=directory("results/{study}/reference"),
    log:
        "logs/{study}/fetch_reference.log",
    benchmark:
        "logs/{study}/fetch_reference.tsv"
    localrule: True
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
    params:
        settings_digest=digests.fetch_reference,
        record="results/{study}/reference.sources.csv",  # as in fetch_generator
    shell:
        "HF_HUB_OFFLINE=0 python -m scripts.fetch_reference --study studies/{wildcards.study}.yaml "
        "--settings-digest {params.settings_digest} --known data/sources.csv "
        "--record {params.record:q} --output {output.model:q} > {log:q} 2>&1"


rule score:
    input:
        tars=inputs.scored_tars,
        real=inputs.real_tars,
        models=inputs.reference,
    output:
        scores="results/{study}/scores/{source}.json",
    log:
        "logs/{study}/score/{source}.log",
    benchmark:
        "logs/{study}/score/{source}.tsv"
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
        settings_digest=digests.score,
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.score "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} "
        "--settings-digest {params.settings_digest} --images {input.tars:q} --real {input.real:q} "
        "--models {input.models:q} --output {output.scores:q} --threads {threads} > {log:q} 2>&1"

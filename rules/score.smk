# in:  image shards of one source; the evaluation set that it is compared with; the reference classifier, trained on real images
# out: results/{study}/scores/{source}.json: recognizability and diversity at each guidance scale, overall and per class; FID, LPIPS,
#      precision, recall
#
# The scores of `real` are those of an evaluation set: on its own training images the reference would be judged, not they.


rule score:
    input:
        tars=scored_tars,
        manifests=manifests(scored_tars),
        real=real_tars,
        real_manifest=manifests(real_tars),
        models=reference_models,
    output:
        scores="results/{study}/scores/{source}.json",
    log:
        "logs/{study}/score/{source}.log",
    benchmark:
        "logs/{study}/score/{source}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
        gpu=gpus,
    params:
        planned=planned(jobs.score_settings, "source"),
    shell:
        "python -m scripts.score --study studies/{wildcards.study}.yaml --source {wildcards.source} --planned {params.planned} "
        "--images {input.tars:q} --real {input.real:q} --models {input.models:q} "
        "--output {output.scores:q} --threads {threads} > {log:q} 2>&1"

# in:  image shards of one source; the evaluation set that it is compared with; the reference classifier, trained on real images or released
# out: results/{study}/reference/, a released reference, as timm reads it
#      results/{study}/scores/{source}.json: recognizability and diversity at each guidance scale, overall and per class; FID, LPIPS,
#      precision, recall
#
# The scores of `real` are those of an evaluation set: on its own training images the reference
# would be judged, not they.

from synscale.workflow.settings.evaluation import reference_settings, score_settings


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
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("fetch_reference", 60),
    params:
        planned=planned(reference_settings),
        record="results/{study}/reference.sources.csv",  # as of fetch_generator
    shell:
        "HF_HUB_OFFLINE=0 python -m scripts.fetch_reference --study studies/{wildcards.study}.yaml "
        "--planned {params.planned} --known data/sources.csv --record {params.record:q} --output {output.model:q} > {log:q} 2>&1"


rule score:
    input:
        tars=scored_tars,
        real=real_tars,
        models=reference_models,
    output:
        scores="results/{study}/scores/{source}.json",
    log:
        "logs/{study}/score/{source}.log",
    benchmark:
        "logs/{study}/score/{source}.tsv"
    priority: EVALUATE
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        # 20 kB an image. Measured: 11 at width 768, for features of 3 kB are held of it, of a real
        # one, and of the one at the guidance scale before.
        mem_mb=growing(
            lambda wildcards, threads: 3000
            + 1000 * threads
            + study_of(wildcards).scores.images // 50
        ),
        runtime=LIMITS.runtime("score", 60),
        gpu_hours=LIMITS.gpu_hours("score"),
        gpu=gpus,
    params:
        planned=planned(score_settings, "source"),
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.score "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} --planned {params.planned} "
        "--images {input.tars:q} --real {input.real:q} --models {input.models:q} "
        "--output {output.scores:q} --threads {threads} > {log:q} 2>&1"

# in:  image shards of one source; the evaluation set to compare with; the reference classifier,
#      trained on real images or downloaded
# out: results/{study}/reference/: a downloaded reference that timm can load
#      results/{study}/scores/{source}.json: recognizability and diversity at each guidance scale,
#      overall and per class; FID, LPIPS, precision, recall
#      results/{study}/feature_models/{feature}/: a downloaded model of a feature space
#      results/{study}/feature_scores/{feature}/{source}.json: the study's further measures in a
#      feature space, at each guidance scale; they also read the training images of the generator
#
# The scores of `real` are those of an evaluation set, because the reference was trained on the
# training images.

from synscale.workflow import score_digests


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
        settings_digest=score_digests.fetch_reference,
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
        settings_digest=score_digests.score,
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.score "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} "
        "--settings-digest {params.settings_digest} --images {input.tars:q} --real {input.real:q} "
        "--models {input.models:q} --output {output.scores:q} --threads {threads} > {log:q} 2>&1"


rule fetch_feature_model:
    output:
        model=directory("results/{study}/feature_models/{feature}"),
    log:
        "logs/{study}/fetch_feature_model/{feature}.log",
    benchmark:
        "logs/{study}/fetch_feature_model/{feature}.tsv"
    localrule: True
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
    params:
        settings_digest=score_digests.fetch_feature_model,
        record="results/{study}/feature_models/{feature}.sources.csv",
    shell:
        "HF_HUB_OFFLINE=0 python -m scripts.fetch_feature_model "
        "--study studies/{wildcards.study}.yaml --feature {wildcards.feature} "
        "--settings-digest {params.settings_digest} --known data/sources.csv "
        "--record {params.record:q} --output {output.model:q} > {log:q} 2>&1"


rule score_features:
    input:
        tars=inputs.scored_tars,
        real=inputs.real_tars,
        training=inputs.remembered_tars,
        model=inputs.feature_model,
    output:
        scores="results/{study}/feature_scores/{feature}/{source}.json",
    log:
        "logs/{study}/score_features/{feature}/{source}.log",
    benchmark:
        "logs/{study}/score_features/{feature}/{source}.tsv"
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
        settings_digest=score_digests.score_features,
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.score_features "
        "--study studies/{wildcards.study}.yaml --source {wildcards.source} "
        "--feature {wildcards.feature} --settings-digest {params.settings_digest} "
        "--images {input.tars:q} --real {input.real:q} --training {input.training:q} "
        "--model {input.model:q} --output {output.scores:q} --threads {threads} > {log:q} 2>&1"

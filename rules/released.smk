# in:  checkpoints of the paper's authors, downloaded by the user; evaluation sets; data/paper_numbers.csv
# out: results/{study}/released/{released}.safetensors, a checkpoint as a model of ours
#      results/{study}/released_metrics/{released}.parquet, as metrics/ and clip_metrics/ are
#      tables/{study}/released.{csv,md,html}, beside what is published of the same checkpoints
#
# Made on request alone, by their paths: nobody else needs the checkpoints.
# docs/check_against_the_authors.md says how to get them.


rule convert_released:
    input:
        checkpoint=inputs.checkpoint,
    output:
        model="results/{study}/released/{released}.safetensors",
    log:
        "logs/{study}/convert_released/{released}.log",
    benchmark:
        "logs/{study}/convert_released/{released}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
    params:
        settings_digest=digests.convert_released,
    shell:
        "python -m scripts.convert_released --study studies/{wildcards.study}.yaml --released {wildcards.released} --settings-digest {params.settings_digest} "
        "--checkpoint {input.checkpoint:q} --output {output.model:q} > {log:q} 2>&1"


rule evaluate_released:
    input:
        classes=inputs.class_table,
        model="results/{study}/released/{released}.safetensors",
        tars=inputs.checkpoint_tars,
    output:
        metrics="results/{study}/released_metrics/{released}.parquet",
    log:
        "logs/{study}/evaluate_released/{released}.log",
    benchmark:
        "logs/{study}/evaluate_released/{released}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: resources.evaluation_threads
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
        gpu_hours=resources.gpu_hours,
        gpu=resources.gpu,
    params:
        settings_digest=digests.evaluate_released,
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.evaluate_released "
        "--study studies/{wildcards.study}.yaml --released {wildcards.released} --settings-digest {params.settings_digest} "
        "--classes {input.classes:q} --model {input.model:q} --sets {input.tars:q} "
        "--output {output.metrics:q} --state .state/{wildcards.study}/released_metrics/{wildcards.released} "
        "--threads {threads} > {log:q} 2>&1"


use rule tabulate_prompts as tabulate_released with:
    input:
        numbers="data/paper_numbers.csv",
        metrics=inputs.checkpoint_metrics,
        code=Script("tabulate_released").code,
    output:
        expand("tables/{{study}}/released.{suffix}", suffix=TABLE_FORMATS),
    log:
        "logs/{study}/tabulate_released.log",
    benchmark:
        "logs/{study}/tabulate_released.tsv"
    params:
        command="tabulate_released",
        settings_digest=digests.tabulate_released,

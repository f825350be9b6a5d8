# in:  checkpoints of the paper's authors, downloaded by the user; evaluation sets;
#      data/paper_numbers.csv
# out: results/{study}/author_checkpoints/{checkpoint}.safetensors, converted
#      results/{study}/author_checkpoint_metrics/{checkpoint}.parquet, like metrics/
#      tables/{study}/author_checkpoints.{csv,md,html}, with the published numbers
#
# These files are created only on request. docs/guides/check_against_the_authors.md explains how to
# get the checkpoints.


rule convert_author_checkpoint:
    input:
        file=inputs.checkpoint,
    output:
        model="results/{study}/author_checkpoints/{checkpoint}.safetensors",
    log:
        "logs/{study}/convert_author_checkpoint/{checkpoint}.log",
    benchmark:
        "logs/{study}/convert_author_checkpoint/{checkpoint}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
    params:
        settings_digest=digests.convert_author_checkpoint,
    shell:
        "python -m scripts.convert_author_checkpoint --study studies/{wildcards.study}.yaml "
        "--checkpoint {wildcards.checkpoint} --settings-digest {params.settings_digest} "
        "--file {input.file:q} --output {output.model:q} > {log:q} 2>&1"


rule evaluate_author_checkpoint:
    input:
        classes=inputs.class_table,
        model="results/{study}/author_checkpoints/{checkpoint}.safetensors",
        tars=inputs.checkpoint_tars,
    output:
        metrics="results/{study}/author_checkpoint_metrics/{checkpoint}.parquet",
    log:
        "logs/{study}/evaluate_author_checkpoint/{checkpoint}.log",
    benchmark:
        "logs/{study}/evaluate_author_checkpoint/{checkpoint}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: resources.evaluation_threads
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
        gpu_hours=resources.gpu_hours,
        gpu=resources.gpu,
    params:
        settings_digest=digests.evaluate_author_checkpoint,
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.evaluate_author_checkpoint "
        "--study studies/{wildcards.study}.yaml --checkpoint {wildcards.checkpoint} "
        "--settings-digest {params.settings_digest} --classes {input.classes:q} "
        "--model {input.model:q} --sets {input.tars:q} --output {output.metrics:q} "
        "--state .state/{wildcards.study}/author_checkpoint_metrics/{wildcards.checkpoint} "
        "--threads {threads} > {log:q} 2>&1"


use rule tabulate_prompts as tabulate_author_checkpoints with:
    input:
        numbers="data/paper_numbers.csv",
        metrics=inputs.checkpoint_metrics,
        code=Script("tabulate_author_checkpoints").code,
    output:
        expand("tables/{{study}}/author_checkpoints.{suffix}", suffix=TABLE_FORMATS),
    log:
        "logs/{study}/tabulate_author_checkpoints.log",
    benchmark:
        "logs/{study}/tabulate_author_checkpoints.tsv"
    params:
        command="tabulate_author_checkpoints",
        settings_digest=digests.tabulate_author_checkpoints,

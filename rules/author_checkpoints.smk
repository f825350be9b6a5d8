# in:  checkpoints of the paper's authors, downloaded by the user; evaluation sets; data/paper_numbers.csv
# out: results/{study}/author_checkpoints/{checkpoint}.safetensors, a checkpoint as a model of ours
#      results/{study}/author_checkpoint_metrics/{checkpoint}.parquet, as metrics/ and clip_metrics/ are
#      tables/{study}/author_checkpoints.{csv,md,html}, beside what is published of the same checkpoints
#
# Made on request alone, by their paths: nobody else needs the checkpoints.
# docs/check_against_the_authors.md says how to get them.

from synscale.workflow.settings.author_checkpoints import (
    conversion_settings,
    author_checkpoint_settings,
    author_checkpoint_table_settings,
)


rule convert_author_checkpoint:
    input:
        file=needed(lambda _, study, wc: study.author_checkpoints[wc.checkpoint].file),
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
        mem_mb=growing(8000),
        runtime=LIMITS.runtime("convert_author_checkpoint", 10),
    params:
        planned=planned(conversion_settings, "checkpoint"),
    shell:
        "python -m scripts.convert_author_checkpoint --study studies/{wildcards.study}.yaml --checkpoint {wildcards.checkpoint} --planned {params.planned} "
        "--file {input.file:q} --output {output.model:q} > {log:q} 2>&1"


rule evaluate_author_checkpoint:
    input:
        classes=class_table,
        model="results/{study}/author_checkpoints/{checkpoint}.safetensors",
        tars=checkpoint_tars,
    output:
        metrics="results/{study}/author_checkpoint_metrics/{checkpoint}.parquet",
    log:
        "logs/{study}/evaluate_author_checkpoint/{checkpoint}.log",
    benchmark:
        "logs/{study}/evaluate_author_checkpoint/{checkpoint}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: evaluation_threads
    resources:
        mem_mb=growing(lambda _, threads: 3000 + 1000 * threads),
        runtime=LIMITS.runtime("evaluate_author_checkpoint", 60),
        gpu_hours=LIMITS.gpu_hours("evaluate_author_checkpoint"),
        gpu=gpus,
    params:
        planned=planned(author_checkpoint_settings, "checkpoint"),
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.evaluate_author_checkpoint "
        "--study studies/{wildcards.study}.yaml --checkpoint {wildcards.checkpoint} --planned {params.planned} "
        "--classes {input.classes:q} --model {input.model:q} --sets {input.tars:q} "
        "--output {output.metrics:q} --state .state/{wildcards.study}/author_checkpoint_metrics/{wildcards.checkpoint} "
        "--threads {threads} > {log:q} 2>&1"


rule tabulate_author_checkpoints:
    input:
        metrics=needed(
            lambda name, study, _: [
                f"results/{name}/author_checkpoint_metrics/{checkpoint}.parquet"
                for checkpoint in study.author_checkpoints
            ]
        ),
        numbers="data/paper_numbers.csv",
        script=code_of("tabulate_author_checkpoints"),
    output:
        expand("tables/{{study}}/author_checkpoints.{format}", format=["csv", "md", "html"]),
    log:
        "logs/{study}/tabulate_author_checkpoints.log",
    benchmark:
        "logs/{study}/tabulate_author_checkpoints.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("tabulate_author_checkpoints", 10),
    params:
        planned=planned(author_checkpoint_table_settings),
    shell:
        "python -m scripts.tabulate_author_checkpoints --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--numbers {input.numbers:q} --metrics {input.metrics:q} --output {output:q} > {log:q} 2>&1"

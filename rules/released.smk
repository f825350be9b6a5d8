# in:  checkpoints of the paper's authors, downloaded by the user; evaluation sets; data/paper_numbers.csv
# out: results/{study}/released/{released}.safetensors, a checkpoint as a model of ours
#      results/{study}/released_metrics/{released}.parquet, as metrics/ and clip_metrics/ are
#      tables/{study}/released.{csv,md,html}, beside what is published of the same checkpoints
#
# Made on request alone, by their paths: nobody else needs the checkpoints.
# docs/check_against_the_authors.md says how to get them.

from synscale.workflow.settings.author_checkpoints import (
    conversion_settings,
    released_settings,
    released_table_settings,
)


rule convert_released:
    input:
        checkpoint=needed(lambda _, study, wc: study.released[wc.released].file),
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
        mem_mb=growing(8000),
        runtime=LIMITS.runtime("convert_released", 10),
    params:
        planned=planned(conversion_settings, "released"),
    shell:
        "python -m scripts.convert_released --study studies/{wildcards.study}.yaml --released {wildcards.released} --planned {params.planned} "
        "--checkpoint {input.checkpoint:q} --output {output.model:q} > {log:q} 2>&1"


rule evaluate_released:
    input:
        classes=class_table,
        model="results/{study}/released/{released}.safetensors",
        tars=released_tars,
    output:
        metrics="results/{study}/released_metrics/{released}.parquet",
    log:
        "logs/{study}/evaluate_released/{released}.log",
    benchmark:
        "logs/{study}/evaluate_released/{released}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: evaluation_threads
    resources:
        mem_mb=growing(lambda _, threads: 3000 + 1000 * threads),
        runtime=LIMITS.runtime("evaluate_released", 60),
        gpu_hours=LIMITS.gpu_hours("evaluate_released"),
        gpu=gpus,
    params:
        planned=planned(released_settings, "released"),
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.evaluate_released "
        "--study studies/{wildcards.study}.yaml --released {wildcards.released} --planned {params.planned} "
        "--classes {input.classes:q} --model {input.model:q} --sets {input.tars:q} "
        "--output {output.metrics:q} --state .state/{wildcards.study}/released_metrics/{wildcards.released} "
        "--threads {threads} > {log:q} 2>&1"


rule tabulate_released:
    input:
        metrics=needed(
            lambda name, study, _: [
                f"results/{name}/released_metrics/{released}.parquet"
                for released in study.released
            ]
        ),
        numbers="data/paper_numbers.csv",
        script=code_of("tabulate_released"),
    output:
        expand("tables/{{study}}/released.{format}", format=["csv", "md", "html"]),
    log:
        "logs/{study}/tabulate_released.log",
    benchmark:
        "logs/{study}/tabulate_released.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("tabulate_released", 10),
    params:
        planned=planned(released_table_settings),
    shell:
        "python -m scripts.tabulate_released --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--numbers {input.numbers:q} --metrics {input.metrics:q} --output {output:q} > {log:q} 2>&1"

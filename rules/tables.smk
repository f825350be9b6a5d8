# in:  metrics, scores, laws, prompts, data/paper_numbers.csv
# out: tables/{study}/{table}.{csv,md,html}; the csv is tidy, the md is for readers, the html is the md for the report
#
# Scripts and the modules that they import are inputs here: a table is cheap, and an edit of its
# code writes it again. `tabulate_metrics` makes three tables of the same kind.

from synscale.workflow.settings import claims


rule tabulate_prompts:
    input:
        prompts=needed(
            lambda name, study, _: [
                f"results/{name}/prompts/{recipe}.parquet"
                for recipe in table_settings.prompts_settings(study).recipes
            ]
        ),
        classes=class_table,
        script=code_of("tabulate_prompts"),
    output:
        table_files("prompts"),
    log:
        "logs/{study}/tabulate_prompts.log",
    benchmark:
        "logs/{study}/tabulate_prompts.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("tabulate_prompts", 10),
    params:
        planned=planned(table_settings.prompts_settings),
    shell:
        "python -m scripts.tabulate_prompts --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--classes {input.classes:q} --prompts {input.prompts:q} --output {output:q} > {log:q} 2>&1"


rule tabulate_configurations:
    input:
        scores=scores_of(
            lambda study: figure_settings.configuration_sources(
                table_settings.configurations_settings(study)
            )
        ),
        metrics=metrics_of(
            lambda study, _: [figure_settings.part_of(study, "configurations").experiment]
        ),
        script=code_of("tabulate_configurations"),
    output:
        table_files("configurations"),
    log:
        "logs/{study}/tabulate_configurations.log",
    benchmark:
        "logs/{study}/tabulate_configurations.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("tabulate_configurations", 10),
    params:
        planned=planned(table_settings.configurations_settings),
    shell:
        "python -m scripts.tabulate_configurations --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--scores {input.scores:q} --metrics {input.metrics:q} --output {output:q} > {log:q} 2>&1"


rule tabulate_metrics:
    input:
        metrics=needed(
            lambda name, study, wc: table_settings.evaluation_table_files(
                study, clip=wc.table == "clip"
            )
        ),
        script=code_of("tabulate_metrics"),
    output:
        table_files("{table}"),
    log:
        "logs/{study}/tabulate_{table}.log",
    benchmark:
        "logs/{study}/tabulate_{table}.tsv"
    wildcard_constraints:
        table="supervised|ood|clip",
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("tabulate_metrics", 10),
    params:
        planned=planned(table_settings.table_settings, "table"),
    shell:
        "python -m scripts.tabulate_metrics --study studies/{wildcards.study}.yaml --table {wildcards.table} --planned {params.planned} "
        "--metrics {input.metrics:q} --output {output:q} > {log:q} 2>&1"


rule tabulate_hyperparameters:
    input:
        script=code_of("tabulate_hyperparameters"),
    output:
        table_files("hyperparameters"),
    log:
        "logs/{study}/tabulate_hyperparameters.log",
    benchmark:
        "logs/{study}/tabulate_hyperparameters.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("tabulate_hyperparameters", 10),
    params:
        planned=planned(table_settings.hyperparameters_settings),
    shell:
        "python -m scripts.tabulate_hyperparameters --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--output {output:q} > {log:q} 2>&1"


rule tabulate_laws:
    input:
        laws=fitted(lambda study, _: study.laws),
        script=code_of("tabulate_laws"),
    output:
        table_files("laws"),
    log:
        "logs/{study}/tabulate_laws.log",
    benchmark:
        "logs/{study}/tabulate_laws.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("tabulate_laws", 10),
    params:
        planned=planned(table_settings.laws_settings),
    shell:
        "python -m scripts.tabulate_laws --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--laws {input.laws:q} --output {output:q} > {log:q} 2>&1"


rule tabulate_claims:
    input:
        metrics=metrics_of(lambda study, _: claims.claims_experiments(study)),
        scores=scores_of(claims.claims_sources),
        script=code_of("tabulate_claims"),
    output:
        table_files("claims"),
    log:
        "logs/{study}/tabulate_claims.log",
    benchmark:
        "logs/{study}/tabulate_claims.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("tabulate_claims", 10),
    params:
        planned=planned(claims.claims_settings),
    shell:
        "python -m scripts.tabulate_claims --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--metrics {input.metrics:q} --scores {input.scores:q} --output {output:q} > {log:q} 2>&1"


rule tabulate_versus_paper:
    input:
        laws=fitted(table_settings.versus_laws),
        metrics=metrics_of_laws(table_settings.level_laws),
        numbers="data/paper_numbers.csv",
        script=code_of("tabulate_versus_paper"),
    output:
        table_files("versus_paper"),
    log:
        "logs/{study}/tabulate_versus_paper.log",
    benchmark:
        "logs/{study}/tabulate_versus_paper.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("tabulate_versus_paper", 10),
    params:
        planned=planned(table_settings.versus_settings),
    shell:
        "python -m scripts.tabulate_versus_paper --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--numbers {input.numbers:q} --laws {input.laws:q} --metrics {input.metrics:q} --output {output:q} > {log:q} 2>&1"

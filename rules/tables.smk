# in:  metrics, scores, laws, prompts, data/paper_numbers.csv
# out: tables/{study}/{table}.{csv,md,html}: tidy csv, md for readers, html for the report
#
# As for figures, each rule runs the script of its name with its named inputs as options, and code
# is an input. `tabulate_metrics` writes three tables of the same kind.


rule tabulate_prompts:
    input:
        classes=inputs.class_table,
        prompts=figure_inputs.prompts_pools,
        code=Script("tabulate_prompts").code,
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
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
    params:
        command="tabulate_prompts",
        settings_digest=figure_digests.tabulate_prompts,
        files=inputs.as_options,
    shell:
        "python -m scripts.{params.command} --study studies/{wildcards.study}.yaml "
        "--settings-digest {params.settings_digest} {params.files} --output {output:q} "
        "> {log:q} 2>&1"


use rule tabulate_prompts as tabulate_configurations with:
    input:
        scores=figure_inputs.configurations_scores,
        metrics=figure_inputs.configurations_metrics,
        code=Script("tabulate_configurations").code,
    output:
        table_files("configurations"),
    log:
        "logs/{study}/tabulate_configurations.log",
    benchmark:
        "logs/{study}/tabulate_configurations.tsv"
    params:
        command="tabulate_configurations",
        settings_digest=figure_digests.tabulate_configurations,


use rule tabulate_prompts as tabulate_metrics with:
    input:
        metrics=figure_inputs.evaluation_metrics,
        code=Script("tabulate_metrics").code,
    output:
        table_files("{table}"),
    log:
        "logs/{study}/tabulate_{table}.log",
    benchmark:
        "logs/{study}/tabulate_{table}.tsv"
    wildcard_constraints:
        table="supervised|ood|clip",
    params:
        command="tabulate_metrics --table {table}",
        settings_digest=figure_digests.tabulate_metrics,


use rule tabulate_prompts as tabulate_hyperparameters with:
    input:
        code=Script("tabulate_hyperparameters").code,
    output:
        table_files("hyperparameters"),
    log:
        "logs/{study}/tabulate_hyperparameters.log",
    benchmark:
        "logs/{study}/tabulate_hyperparameters.tsv"
    params:
        command="tabulate_hyperparameters",
        settings_digest=figure_digests.tabulate_hyperparameters,


use rule tabulate_prompts as tabulate_laws with:
    input:
        laws=figure_inputs.all_laws,
        histories=figure_inputs.laws_histories,
        code=Script("tabulate_laws").code,
    output:
        table_files("laws"),
    log:
        "logs/{study}/tabulate_laws.log",
    benchmark:
        "logs/{study}/tabulate_laws.tsv"
    params:
        command="tabulate_laws",
        settings_digest=figure_digests.tabulate_laws,


use rule tabulate_prompts as tabulate_claims with:
    input:
        metrics=figure_inputs.claims_metrics,
        scores=figure_inputs.claims_scores,
        code=Script("tabulate_claims").code,
    output:
        table_files("claims"),
    log:
        "logs/{study}/tabulate_claims.log",
    benchmark:
        "logs/{study}/tabulate_claims.tsv"
    params:
        command="tabulate_claims",
        settings_digest=figure_digests.tabulate_claims,


use rule tabulate_prompts as tabulate_versus_paper with:
    input:
        numbers="data/paper_numbers.csv",
        laws=figure_inputs.versus_paper_laws,
        metrics=figure_inputs.versus_paper_metrics,
        code=Script("tabulate_versus_paper").code,
    output:
        table_files("versus_paper"),
    log:
        "logs/{study}/tabulate_versus_paper.log",
    benchmark:
        "logs/{study}/tabulate_versus_paper.tsv"
    params:
        command="tabulate_versus_paper",
        settings_digest=figure_digests.tabulate_versus_paper,

# in:  metrics
# out: tables/{study}/{table}.{csv,md}


rule tabulate_supervised:
    input:
        metrics=metrics_of(lambda study, wc: None),
        script="scripts/tabulate_supervised.py",
    output:
        expand("tables/{{study}}/supervised.{format}", format=["csv", "md"]),
    log:
        "logs/{study}/tabulate_supervised.log",
    benchmark:
        "logs/{study}/tabulate_supervised.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        planned=planned(jobs.table_settings),
    shell:
        "python -m scripts.tabulate_supervised --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--metrics {input.metrics:q} --output {output:q} > {log:q} 2>&1"

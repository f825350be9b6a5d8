# in:  images, scores, metrics, laws
# out: figures/{study}/{figure}.{pdf,svg,png,csv}; the csv holds what is drawn
#
# Scripts are inputs here: a figure is cheap, and editing its script redraws it.


rule plot_samples:
    input:
        real=lambda wc: f"results/{wc.study}/data/classifier_training.tar",
        images=lambda wc: [
            tar for source in jobs.samples_sources(study_of(wc)) for tar in jobs.image_files(wc.study, study_of(wc), source, 1)
        ],
        classes=class_table,
        script=["scripts/plot_samples.py", "scripts/lib/plotting.py"],
    output:
        figure_files("samples"),
    log:
        "logs/{study}/plot_samples.log",
    benchmark:
        "logs/{study}/plot_samples.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        planned=planned(jobs.samples_settings),
    shell:
        "python -m scripts.plot_samples --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--classes {input.classes:q} --real {input.real:q} "
        "--images {input.images:q} --output {output:q} > {log:q} 2>&1"


rule plot_recognizability_diversity:
    input:
        scores=scores_of(jobs.plane_sources),
        script=[
            "scripts/plot_recognizability_diversity.py",
            "scripts/lib/plotting.py",
        ],
    output:
        figure_files("recognizability_diversity"),
    log:
        "logs/{study}/plot_recognizability_diversity.log",
    benchmark:
        "logs/{study}/plot_recognizability_diversity.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        planned=planned(jobs.plane_settings),
    shell:
        "python -m scripts.plot_recognizability_diversity --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--scores {input.scores:q} "
        "--output {output:q} > {log:q} 2>&1"


rule plot_configuration_sweep:
    input:
        scores=scores_of(jobs.sweep_sources),
        metrics=metrics_of(lambda study, wc: [study.figures.configuration_sweep.experiment]),
        script=["scripts/plot_configuration_sweep.py", "scripts/lib/plotting.py"],
    output:
        figure_files("configuration_sweep"),
    log:
        "logs/{study}/plot_configuration_sweep.log",
    benchmark:
        "logs/{study}/plot_configuration_sweep.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        planned=planned(jobs.sweep_settings),
    shell:
        "python -m scripts.plot_configuration_sweep --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--scores {input.scores:q} "
        "--metrics {input.metrics:q} --output {output:q} > {log:q} 2>&1"


rule plot_supervised_scaling:
    input:
        metrics=metrics_of(lambda study, wc: study.laws[study.figures.supervised_scaling.law].experiments),
        law=lambda wc: f"results/{wc.study}/laws/{study_of(wc).figures.supervised_scaling.law}.json",
        script=["scripts/plot_supervised_scaling.py", "scripts/lib/plotting.py", *LAW_MODULES],
    output:
        figure_files("supervised_scaling"),
    log:
        "logs/{study}/plot_supervised_scaling.log",
    benchmark:
        "logs/{study}/plot_supervised_scaling.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        planned=planned(jobs.scaling_settings),
    shell:
        "python -m scripts.plot_supervised_scaling --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--metrics {input.metrics:q} --law {input.law:q} "
        "--output {output:q} > {log:q} 2>&1"


rule plot_exchange_rate:
    input:
        metrics=metrics_of(lambda study, wc: study.laws[study.figures.exchange_rate.law].experiments),
        script=["scripts/plot_exchange_rate.py", "scripts/lib/plotting.py", *LAW_MODULES],
    output:
        figure_files("exchange_rate"),
    log:
        "logs/{study}/plot_exchange_rate.log",
    benchmark:
        "logs/{study}/plot_exchange_rate.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        planned=planned(jobs.exchange_settings),
    shell:
        "python -m scripts.plot_exchange_rate --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--metrics {input.metrics:q} --output {output:q} > {log:q} 2>&1"


rule plot_beyond_the_law:
    input:
        metrics=metrics_of(lambda study, wc: study.laws[study.figures.beyond_the_law.law].experiments),
        script=["scripts/plot_beyond_the_law.py", "scripts/lib/plotting.py", *LAW_MODULES],
    output:
        figure_files("beyond_the_law"),
    log:
        "logs/{study}/plot_beyond_the_law.log",
    benchmark:
        "logs/{study}/plot_beyond_the_law.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        planned=planned(jobs.beyond_settings),
    shell:
        "python -m scripts.plot_beyond_the_law --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--metrics {input.metrics:q} --output {output:q} > {log:q} 2>&1"

# in:  metrics, laws
# out: figures/{study}/{figure}.{pdf,svg,png,csv}; the csv holds what is drawn
#
# Figures of what is gained by more images. `plot_scaling` draws every
# figures/{study}/{...}_scaling.pdf.

from synscale.workflow.settings import mixed_figures


rule plot_scaling:
    input:
        metrics=metrics_of_laws(lambda study, wc: figure_settings.panel_laws(study, wc.scaling)),
        laws=fitted(lambda study, wc: figure_settings.panel_laws(study, wc.scaling)),
        script=code_of("plot_scaling"),
    output:
        figure_files("{scaling}"),
    log:
        "logs/{study}/plot_{scaling}.log",
    benchmark:
        "logs/{study}/plot_{scaling}.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("plot_scaling", 10),
    params:
        planned=planned(figure_settings.panels_settings, "scaling"),
    shell:
        "python -m scripts.plot_scaling --study studies/{wildcards.study}.yaml --scaling {wildcards.scaling} --planned {params.planned} "
        "--metrics {input.metrics:q} --laws {input.laws:q} --output {output:q} > {log:q} 2>&1"


rule plot_beyond_the_law:
    input:
        metrics=metrics_of_laws(
            lambda study, _: figure_settings.panel_laws(study, "beyond_the_law")
        ),
        script=code_of("plot_beyond_the_law"),
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
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("plot_beyond_the_law", 10),
    params:
        planned=planned(figure_settings.beyond_settings),
    shell:
        "python -m scripts.plot_beyond_the_law --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--metrics {input.metrics:q} --output {output:q} > {log:q} 2>&1"


rule plot_exchange_rate:
    input:
        metrics=metrics_of_laws(
            lambda study, _: [figure_settings.part_of(study, "exchange_rate").law]
        ),
        script=code_of("plot_exchange_rate"),
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
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("plot_exchange_rate", 10),
    params:
        planned=planned(figure_settings.exchange_settings),
    shell:
        "python -m scripts.plot_exchange_rate --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--metrics {input.metrics:q} --output {output:q} > {log:q} 2>&1"


rule plot_limited_real:
    input:
        metrics=metrics_of(
            lambda study, _: figure_settings.part_of(study, "limited_real").experiments
        ),
        script=code_of("plot_limited_real"),
    output:
        figure_files("limited_real"),
    log:
        "logs/{study}/plot_limited_real.log",
    benchmark:
        "logs/{study}/plot_limited_real.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("plot_limited_real", 10),
    params:
        planned=planned(mixed_figures.limited_settings),
    shell:
        "python -m scripts.plot_limited_real --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--metrics {input.metrics:q} --output {output:q} > {log:q} 2>&1"


rule plot_clip_transfer:
    input:
        metrics=metrics_of(
            lambda study, _: figure_settings.part_of(study, "clip_transfer").experiments
        ),
        script=code_of("plot_clip_transfer"),
    output:
        figure_files("clip_transfer"),
    log:
        "logs/{study}/plot_clip_transfer.log",
    benchmark:
        "logs/{study}/plot_clip_transfer.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("plot_clip_transfer", 10),
    params:
        planned=planned(mixed_figures.transfer_settings),
    shell:
        "python -m scripts.plot_clip_transfer --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--metrics {input.metrics:q} --output {output:q} > {log:q} 2>&1"


rule plot_teaser:
    input:
        laws=fitted(lambda study, _: figure_settings.teaser_laws(study)),
        script=code_of("plot_teaser"),
    output:
        figure_files("teaser"),
    log:
        "logs/{study}/plot_teaser.log",
    benchmark:
        "logs/{study}/plot_teaser.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("plot_teaser", 10),
    params:
        planned=planned(figure_settings.teaser_settings),
    shell:
        "python -m scripts.plot_teaser --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--laws {input.laws:q} --output {output:q} > {log:q} 2>&1"

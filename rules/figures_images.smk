# in:  images, scores, metrics
# out: figures/{study}/{figure}.{pdf,svg,png,csv}; the csv holds what is drawn
#
# Figures of images and of what scores say of them. Scripts and the modules that they
# import are inputs here: a figure is cheap, and an edit of its code redraws it.


rule plot_samples:
    input:
        real=needed(lambda name, study, _: figure_settings.samples_of_real(study)),
        images=needed(lambda name, study, _: figure_settings.samples_tars(study)),
        classes=class_table,
        script=code_of("plot_samples"),
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
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("plot_samples", 10),
    params:
        planned=planned(figure_settings.samples_settings),
    shell:
        "python -m scripts.plot_samples --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--classes {input.classes:q} --real {input.real:q} --images {input.images:q} --output {output:q} > {log:q} 2>&1"


rule plot_recognizability_diversity:
    input:
        scores=scores_of(figure_settings.plane_sources),
        script=code_of("plot_recognizability_diversity"),
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
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("plot_recognizability_diversity", 10),
    params:
        planned=planned(figure_settings.plane_settings),
    shell:
        "python -m scripts.plot_recognizability_diversity --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--scores {input.scores:q} --output {output:q} > {log:q} 2>&1"


rule plot_configuration_sweep:
    input:
        scores=scores_of(
            lambda study: figure_settings.configuration_sources(
                figure_settings.sweep_settings(study)
            )
        ),
        metrics=metrics_of(
            lambda study, _: [figure_settings.part_of(study, "configuration_sweep").experiment]
        ),
        script=code_of("plot_configuration_sweep"),
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
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("plot_configuration_sweep", 10),
    params:
        planned=planned(figure_settings.sweep_settings),
    shell:
        "python -m scripts.plot_configuration_sweep --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--scores {input.scores:q} --metrics {input.metrics:q} --output {output:q} > {log:q} 2>&1"


rule plot_scores:
    input:
        scores=scores_of(
            lambda study: figure_settings.configuration_sources(
                figure_settings.scores_settings(study)
            )
        ),
        metrics=metrics_of(lambda study, _: [figure_settings.part_of(study, "scores").experiment]),
        script=code_of("plot_scores"),
    output:
        figure_files("scores"),
    log:
        "logs/{study}/plot_scores.log",
    benchmark:
        "logs/{study}/plot_scores.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("plot_scores", 10),
    params:
        planned=planned(figure_settings.scores_settings),
    shell:
        "python -m scripts.plot_scores --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--scores {input.scores:q} --metrics {input.metrics:q} --output {output:q} > {log:q} 2>&1"


rule plot_per_class:
    input:
        images=needed(lambda name, study, _: figure_settings.per_class_tars(study)),
        scores=scores_of(figure_settings.per_class_sources),
        metrics=metrics_of_laws(lambda study, _: [figure_settings.part_of(study, "per_class").law]),
        classes=class_table,
        script=code_of("plot_per_class"),
    output:
        figure_files("per_class"),
    log:
        "logs/{study}/plot_per_class.log",
    benchmark:
        "logs/{study}/plot_per_class.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("plot_per_class", 10),
    params:
        planned=planned(figure_settings.per_class_settings),
    shell:
        "python -m scripts.plot_per_class --study studies/{wildcards.study}.yaml --planned {params.planned} "
        "--classes {input.classes:q} --images {input.images:q} --scores {input.scores:q} --metrics {input.metrics:q} --output {output:q} > {log:q} 2>&1"

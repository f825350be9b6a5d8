# in:  images, scores, metrics
# out: figures/{study}/{figure}.{pdf,svg,png,csv}; the csv contains what is drawn
#
# Figures of images and of their scores. Each rule runs the script of its name, with its named
# inputs as options. Code is an input: a figure is cheap, and an edit of its code draws it again.


rule plot_samples:
    input:
        classes=inputs.class_table,
        real=figure_inputs.samples_real,
        images=figure_inputs.samples_images,
        code=Script("plot_samples").code,
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
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
    params:
        command="plot_samples",
        settings_digest=figure_digests.plot_samples,
        files=inputs.as_options,
    shell:
        "python -m scripts.{params.command} --study studies/{wildcards.study}.yaml "
        "--settings-digest {params.settings_digest} {params.files} --output {output:q} "
        "> {log:q} 2>&1"


use rule plot_samples as plot_recognizability_diversity with:
    input:
        scores=figure_inputs.recognizability_diversity_scores,
        code=Script("plot_recognizability_diversity").code,
    output:
        figure_files("recognizability_diversity"),
    log:
        "logs/{study}/plot_recognizability_diversity.log",
    benchmark:
        "logs/{study}/plot_recognizability_diversity.tsv"
    params:
        command="plot_recognizability_diversity",
        settings_digest=figure_digests.plot_recognizability_diversity,


use rule plot_samples as plot_configuration_sweep with:
    input:
        scores=figure_inputs.configuration_sweep_scores,
        metrics=figure_inputs.configuration_sweep_metrics,
        code=Script("plot_configuration_sweep").code,
    output:
        figure_files("configuration_sweep"),
    log:
        "logs/{study}/plot_configuration_sweep.log",
    benchmark:
        "logs/{study}/plot_configuration_sweep.tsv"
    params:
        command="plot_configuration_sweep",
        settings_digest=figure_digests.plot_configuration_sweep,


use rule plot_samples as plot_scores with:
    input:
        scores=figure_inputs.scores_scores,
        metrics=figure_inputs.scores_metrics,
        code=Script("plot_scores").code,
    output:
        figure_files("scores"),
    log:
        "logs/{study}/plot_scores.log",
    benchmark:
        "logs/{study}/plot_scores.tsv"
    params:
        command="plot_scores",
        settings_digest=figure_digests.plot_scores,


use rule plot_samples as plot_per_class with:
    input:
        classes=inputs.class_table,
        images=figure_inputs.per_class_images,
        scores=figure_inputs.per_class_scores,
        metrics=figure_inputs.per_class_metrics,
        code=Script("plot_per_class").code,
    output:
        figure_files("per_class"),
    log:
        "logs/{study}/plot_per_class.log",
    benchmark:
        "logs/{study}/plot_per_class.tsv"
    params:
        command="plot_per_class",
        settings_digest=figure_digests.plot_per_class,

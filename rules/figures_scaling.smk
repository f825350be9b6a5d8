# in:  metrics, laws, histories of trainings, the hardware file
# out: figures/{study}/{figure}.{pdf,svg,png,csv}; the csv contains what is drawn
#
# Figures of the gain from more images. `plot_scaling` draws every {...}_scaling.pdf. Each rule is
# plot_samples (figures_images.smk) with different inputs and outputs.


use rule plot_samples as plot_scaling with:
    input:
        metrics=figure_inputs.scaling_metrics,
        laws=figure_inputs.scaling_laws,
        code=Script("plot_scaling").code,
    output:
        figure_files("{scaling}"),
    log:
        "logs/{study}/plot_{scaling}.log",
    benchmark:
        "logs/{study}/plot_{scaling}.tsv"
    params:
        command="plot_scaling --scaling {scaling}",
        settings_digest=figure_digests.plot_scaling,


use rule plot_samples as plot_beyond_the_law with:
    input:
        metrics=figure_inputs.beyond_the_law_metrics,
        code=Script("plot_beyond_the_law").code,
    output:
        figure_files("beyond_the_law"),
    log:
        "logs/{study}/plot_beyond_the_law.log",
    benchmark:
        "logs/{study}/plot_beyond_the_law.tsv"
    params:
        command="plot_beyond_the_law",
        settings_digest=figure_digests.plot_beyond_the_law,


use rule plot_samples as plot_exchange_rate with:
    input:
        metrics=figure_inputs.exchange_rate_metrics,
        code=Script("plot_exchange_rate").code,
    output:
        figure_files("exchange_rate"),
    log:
        "logs/{study}/plot_exchange_rate.log",
    benchmark:
        "logs/{study}/plot_exchange_rate.tsv"
    params:
        command="plot_exchange_rate",
        settings_digest=figure_digests.plot_exchange_rate,


use rule plot_samples as plot_limited_real with:
    input:
        metrics=figure_inputs.limited_real_metrics,
        code=Script("plot_limited_real").code,
    output:
        figure_files("limited_real"),
    log:
        "logs/{study}/plot_limited_real.log",
    benchmark:
        "logs/{study}/plot_limited_real.tsv"
    params:
        command="plot_limited_real",
        settings_digest=figure_digests.plot_limited_real,


use rule plot_samples as plot_joint_law with:
    input:
        metrics=figure_inputs.joint_law_metrics,
        hardware=f"profiles/hardware/{HARDWARE}.yaml",  # price of a synthetic image
        code=Script("plot_joint_law").code,
    output:
        figure_files("joint_law"),
    log:
        "logs/{study}/plot_joint_law.log",
    benchmark:
        "logs/{study}/plot_joint_law.tsv"
    params:
        command="plot_joint_law",
        settings_digest=figure_digests.plot_joint_law,


use rule plot_samples as plot_repetition with:
    input:
        metrics=figure_inputs.repetition_metrics,
        code=Script("plot_repetition").code,
    output:
        figure_files("repetition"),
    log:
        "logs/{study}/plot_repetition.log",
    benchmark:
        "logs/{study}/plot_repetition.tsv"
    params:
        command="plot_repetition",
        settings_digest=figure_digests.plot_repetition,


use rule plot_samples as plot_clip_transfer with:
    input:
        metrics=figure_inputs.clip_transfer_metrics,
        code=Script("plot_clip_transfer").code,
    output:
        figure_files("clip_transfer"),
    log:
        "logs/{study}/plot_clip_transfer.log",
    benchmark:
        "logs/{study}/plot_clip_transfer.tsv"
    params:
        command="plot_clip_transfer",
        settings_digest=figure_digests.plot_clip_transfer,


use rule plot_samples as plot_teaser with:
    input:
        laws=figure_inputs.teaser_laws,
        code=Script("plot_teaser").code,
    output:
        figure_files("teaser"),
    log:
        "logs/{study}/plot_teaser.log",
    benchmark:
        "logs/{study}/plot_teaser.tsv"
    params:
        command="plot_teaser",
        settings_digest=figure_digests.plot_teaser,


use rule plot_samples as plot_training_curves with:
    input:
        histories=figure_inputs.training_curves_histories,
        code=Script("plot_training_curves").code,
    output:
        figure_files("training_curves"),
    log:
        "logs/{study}/plot_training_curves.log",
    benchmark:
        "logs/{study}/plot_training_curves.tsv"
    params:
        command="plot_training_curves",
        settings_digest=figure_digests.plot_training_curves,


use rule plot_samples as plot_selection with:
    input:
        metrics=figure_inputs.selection_metrics,
        laws=figure_inputs.selection_laws,
        code=Script("plot_selection").code,
    output:
        figure_files("selection"),
    log:
        "logs/{study}/plot_selection.log",
    benchmark:
        "logs/{study}/plot_selection.tsv"
    params:
        command="plot_selection",
        settings_digest=figure_digests.plot_selection,

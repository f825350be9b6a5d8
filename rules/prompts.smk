# in:  the class table; captions of the real training images, a model's captions or sentences, or the user's own texts
# out: results/{study}/prompts/{recipe}.parquet: a pool of texts for each class
#
# Paper, section on prompts: class names, + description, + hypernyms, word to sentence, CLIP
# templates, captions of ImageNet images.

from synscale.workflow.settings.prompts import prompt_settings


rule write_prompts:
    input:
        classes=class_table,
        known=needed(prompt_inputs.known),
    output:
        pool="results/{study}/prompts/{recipe}.parquet",
    log:
        "logs/{study}/write_prompts/{recipe}.log",
    benchmark:
        "logs/{study}/write_prompts/{recipe}.tsv"
    priority: PREPARE
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("write_prompts", 10),
    params:
        planned=planned(prompt_settings, "recipe"),
    shell:
        "python -m scripts.write_prompts --study studies/{wildcards.study}.yaml --recipe {wildcards.recipe} --planned {params.planned} "
        "--classes {input.classes:q} --known {input.known:q} "
        "--output {output.pool:q} > {log:q} 2>&1"

# in:  the class table; captions of the real training images, captions or sentences by a model, or
#      texts of the user
# out: results/{study}/prompts/{recipe}.parquet: a pool of texts for each class
#
# Paper, section on prompts: class names, + description, + hypernyms, word to sentence, CLIP
# templates, captions of ImageNet images.


rule write_prompts:
    input:
        classes=inputs.class_table,
        known=inputs.known_texts,
    output:
        pool="results/{study}/prompts/{recipe}.parquet",
    log:
        "logs/{study}/write_prompts/{recipe}.log",
    benchmark:
        "logs/{study}/write_prompts/{recipe}.tsv"
    priority: resources.priority
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
    params:
        settings_digest=digests.prompts,
    shell:
        "python -m scripts.write_prompts --study studies/{wildcards.study}.yaml "
        "--recipe {wildcards.recipe} --settings-digest {params.settings_digest} "
        "--classes {input.classes:q} --known {input.known:q} --output {output.pool:q} "
        "> {log:q} 2>&1"

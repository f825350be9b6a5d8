# in:  the data sets of the study (digits: the copy in scikit-learn; files: the folder in `paths` of
#      config.yaml or in the environment)
# out: results/{study}/data/{split}/{shard}.tar (+ .parquet)
#      results/{study}/data/{split}/index.parquet, for data sets in files only
#
# A split is a training set or an evaluation set by name. The digits have generator_training, which
# only text-to-image models train on, and classifier_training, the source `real`. A set that is
# derived from another set is computed from its shard. Later stages read shards only.


rule index_data:
    input:
        classes=inputs.split_classes,
        skip=inputs.skipped_images,
        training=inputs.training_index,
    output:
        "results/{study}/data/{split}/index.parquet",
    log:
        "logs/{study}/index_data/{split}.log",
    benchmark:
        "logs/{study}/index_data/{split}.tsv"
    priority: resources.priority
    conda:
        "../envs/torch.yaml"
    threads: 8
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
    params:
        settings_digest=digests.index_data,
    shell:
        "python -m scripts.index_data --study studies/{wildcards.study}.yaml "
        "--split {wildcards.split} --settings-digest {params.settings_digest} "
        "--classes {input.classes:q} --training-index {input.training:q} --threads {threads} "
        "--output {output:q} > {log:q} 2>&1"


rule prepare_data:
    input:
        classes=inputs.split_classes,
        index=inputs.data_index,
        images=inputs.shifted_images,
        training=inputs.shift_training,
    output:
        tar="results/{study}/data/{split}/{shard}.tar",
        manifest="results/{study}/data/{split}/{shard}.parquet",
    log:
        "logs/{study}/prepare_data/{split}-{shard}.log",
    benchmark:
        "logs/{study}/prepare_data/{split}-{shard}.tsv"
    priority: resources.priority
    conda:
        "../envs/torch.yaml"
    threads: resources.preparation_threads
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
        disk_gb=resources.disk_gb,
    params:
        settings_digest=digests.prepare_data,
    shell:
        "python -m scripts.prepare_data --study studies/{wildcards.study}.yaml "
        "--split {wildcards.split} --shard {wildcards.shard} "
        "--settings-digest {params.settings_digest} --classes {input.classes:q} "
        "--index {input.index:q} --images {input.images:q} --training {input.training:q} "
        "--threads {threads} --output {output.tar:q} > {log:q} 2>&1"

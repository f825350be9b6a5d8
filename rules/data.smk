# in:  the study's data sets (digits: the copy inside scikit-learn; files: where config.yaml's `paths` or the environment says)
# out: results/{study}/data/{split}/{shard}.tar (+ .parquet); of a data set in files also results/{study}/data/{split}/index.parquet
#
# Splits: training sets and evaluation sets by name; of digits generator_training, from which
# text-to-image models alone learn, and classifier_training, the source `real`. Later stages see
# shards alone.

from synscale.workflow.paths import data_index
from synscale.workflow.settings.data import data_settings, index_settings
from synscale.workflow.shards import classes_file

from synscale.workflow import preflight


rule index_data:
    input:
        classes=needed(lambda name, study, wildcards: classes_file(study, wildcards.split) or []),
        skip=needed(
            lambda name, study, wildcards: index_settings(study, wildcards.split).skip or []
        ),
    output:
        "results/{study}/data/{split}/index.parquet",
    log:
        "logs/{study}/index_data/{split}.log",
    benchmark:
        "logs/{study}/index_data/{split}.tsv"
    priority: PREPARE
    conda:
        "../envs/torch.yaml"
    threads: 8
    resources:
        mem_mb=growing(4000),
        runtime=LIMITS.runtime("index_data", 240),
    params:
        planned=planned(index_settings, "split"),
    shell:
        "python -m scripts.index_data --study studies/{wildcards.study}.yaml --split {wildcards.split} --planned {params.planned} "
        "--classes {input.classes:q} --threads {threads} --output {output:q} > {log:q} 2>&1"


rule prepare_data:
    input:
        classes=needed(lambda name, study, wildcards: classes_file(study, wildcards.split) or []),
        index=needed(lambda name, study, wildcards: data_index(study, wildcards.split)),
    output:
        tar="results/{study}/data/{split}/{shard}.tar",
        manifest="results/{study}/data/{split}/{shard}.parquet",
    log:
        "logs/{study}/prepare_data/{split}-{shard}.log",
    benchmark:
        "logs/{study}/prepare_data/{split}-{shard}.tsv"
    priority: first_shards_first(READ)
    conda:
        "../envs/torch.yaml"
    threads: lambda wildcards: 8 if study_of(wildcards).data.kind == "files" else 1
    resources:
        mem_mb=growing(
            lambda wildcards, _: 4000 if study_of(wildcards).data.kind == "files" else 2000
        ),
        runtime=LIMITS.runtime("prepare_data", 120),
        disk_gb=LIMITS.disk_gb("prepare_data"),
    params:
        planned=planned(data_settings, "split", "shard"),
    shell:
        "python -m scripts.prepare_data --study studies/{wildcards.study}.yaml --split {wildcards.split} --shard {wildcards.shard} --planned {params.planned} "
        "--classes {input.classes:q} --index {input.index:q} --threads {threads} --output {output.tar:q} > {log:q} 2>&1"

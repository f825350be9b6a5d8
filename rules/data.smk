# in:  the study's data set (digits: the copy inside scikit-learn)
# out: results/{study}/data/{split}.tar (+ .parquet)
#
# Splits: generator_training, from which text-to-image models alone learn; classifier_training, the source `real`; and the evaluation
# sets by name. Later stages see shards alone.


rule prepare_data:
    input:
        classes=class_table,
    output:
        tar="results/{study}/data/{split}.tar",
        manifest="results/{study}/data/{split}.parquet",
    log:
        "logs/{study}/prepare_data/{split}.log",
    benchmark:
        "logs/{study}/prepare_data/{split}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        planned=planned(jobs.data_settings, "split"),
    shell:
        "python -m scripts.prepare_data --study studies/{wildcards.study}.yaml --split {wildcards.split} --planned {params.planned} "
        "--classes {input.classes:q} --output {output.tar:q} > {log:q} 2>&1"

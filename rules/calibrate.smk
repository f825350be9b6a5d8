# in:  the study that `study` names; profiles/hardware/{hardware}.yaml of config.yaml
# out: profiles/hardware/measured_{study}.yaml: speeds of the study's code on the job's GPU or CPU
#
# `snakemake calibrate --config study=imagenet` takes minutes; add `--profile slurm` to use a GPU of
# the cluster. The file is no output of the rule: Snakemake would delete the old file before the new
# one exists, and plans would wait for a GPU.


rule calibrate:
    log:
        f"logs/{config['study']}/calibrate.log",
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
        gpu=resources.single_gpu,
    params:
        study=config["study"],
        base=HARDWARE,
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.calibrate "
        "--study studies/{params.study}.yaml --base {params.base:q} "
        "--output profiles/hardware/measured_{params.study}.yaml "
        "--threads {threads} 2>&1 | tee {log:q}"

# in:  the study that `study` names; profiles/hardware/{hardware}.yaml of config.yaml
# out: profiles/hardware/measured_{study}.yaml, how fast the study's own code is on the GPU, or CPU, that the job is given
#
# `snakemake calibrate --config study=imagenet`, with `--profile slurm` on a GPU of the cluster;
# minutes. No output that Snakemake knows of, for it would remove the last one before the next is
# there, and plans would wait for a GPU.


CALIBRATED = STUDIES[config["study"]]


rule calibrate:
    log:
        f"logs/{config['study']}/calibrate.log",
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(
            40000
            if any(
                getattr(own, "model", None)
                for own in [*CALIBRATED.generators.values(), *CALIBRATED.recipes.values()]
            )
            else 4000
        ),
        runtime=LIMITS.runtime("calibrate", 60),
        gpu=gpus_at_hand,
    params:
        study=config["study"],
        base=config.get("hardware", "laptop"),
    shell:
        "python -m synscale.runtime.launch {resources.gpu} scripts.calibrate "
        "--study studies/{params.study}.yaml --base {params.base:q} "
        "--output profiles/hardware/measured_{params.study}.yaml --threads {threads} 2>&1 | tee {log:q}"

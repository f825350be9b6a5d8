# in:  metrics of the law's experiments
# out: results/{study}/laws/{law}.json: exponent k with its interval for each curve, and the law
#      that the curve follows over all its sizes
#
# Paper, section on the scaling law: L(D) = (C / D)^k by least squares of log loss on log size.


rule fit_laws:
    input:
        metrics=figure_inputs.fitted_metrics,
        code=Script("fit_laws").code,
    output:
        law="results/{study}/laws/{law}.json",
    log:
        "logs/{study}/fit_laws/{law}.log",
    benchmark:
        "logs/{study}/fit_laws/{law}.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
    params:
        settings_digest=digests.fit_laws,
    shell:
        "python -m scripts.fit_laws --study studies/{wildcards.study}.yaml --law {wildcards.law} "
        "--settings-digest {params.settings_digest} --metrics {input.metrics:q} "
        "--output {output.law:q} > {log:q} 2>&1"

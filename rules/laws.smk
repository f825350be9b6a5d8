# in:  metrics of the law's experiments
# out: results/{study}/laws/{law}.json: exponent k with its interval, for each curve, and the law that it follows over all its sizes
#
# Paper, section on the scaling law: L(D) = (C / D)^k, least squares of log loss on log size.

from synscale.workflow.settings.laws import law_settings


rule fit_laws:
    input:
        metrics=metrics_of(lambda study, wc: study.laws[wc.law].experiments),
        script=code_of("fit_laws"),
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
        mem_mb=growing(2000),
        runtime=LIMITS.runtime("fit_laws", 10),
    params:
        planned=planned(law_settings, "law"),
    shell:
        "python -m scripts.fit_laws --study studies/{wildcards.study}.yaml --law {wildcards.law} --planned {params.planned} "
        "--metrics {input.metrics:q} --output {output.law:q} > {log:q} 2>&1"

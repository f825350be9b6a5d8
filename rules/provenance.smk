# in:  every figure and table of the study
# out: provenance/{study}.{html,json}: versions, commit, machine, the study file as it stood, checksum and time of each result
#
# Made again with each result and at no commit besides: it tells which code made the results, not
# which code lies here now.

from snakemake import __version__ as SNAKEMAKE

from synscale.workflow.settings.provenance import provenance_settings


rule write_provenance:
    input:
        results=needed(
            lambda name, study, _: [
                f"figures/{name}/{figure}.csv"
                for figure in figure_settings.names_of(study.figures)
            ]
            + [f"tables/{name}/{table}.csv" for table in figure_settings.names_of(study.tables)]
        ),
    output:
        report(
            "provenance/{study}.html",
            caption="../report/provenance.rst",
            category="Provenance",
            labels={"result": "Versions, commit, study file"},
        ),
        "provenance/{study}.json",
    log:
        "logs/{study}/write_provenance.log",
    benchmark:
        "logs/{study}/write_provenance.tsv"
    localrule: True  # where git and the checkout are
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=LIMITS.runtime("write_provenance", 5),
    params:
        planned=planned(provenance_settings),
    shell:
        "python -m scripts.write_provenance --study studies/{wildcards.study}.yaml --planned {params.planned} "
        f"--environments envs/*.yaml --snakemake {SNAKEMAKE} "  # no params: a newer snakemake did not make older results
        "--results {input.results:q} --output {output:q} > {log:q} 2>&1"

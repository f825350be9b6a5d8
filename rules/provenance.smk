# in:  every figure and table of the study
# out: provenance/{study}.{html,json}: versions, commit, machine, the study file as used, checksum
#      and time of each result
#
# The page is written again after each new result, but not after each commit: it records the code
# that created the results and not the current checkout.

from snakemake import __version__ as SNAKEMAKE


rule write_provenance:
    input:
        results=figure_inputs.all_results,
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
        mem_mb=resources.mem_mb,
        runtime=resources.runtime,
    params:
        settings_digest=digests.write_provenance,
    shell:
        "python -m scripts.write_provenance --study studies/{wildcards.study}.yaml "
        # The version is not in params: a newer Snakemake did not create the older results.
        f"--environments envs/*.yaml --snakemake {SNAKEMAKE} "
        "--settings-digest {params.settings_digest} "
        "--results {input.results:q} --output {output:q} > {log:q} 2>&1"

# Files of figures and tables, as the report shows them.

FORMATS = ["pdf", "svg", "png", "csv"]


def in_report(path, name, kind):
    """Flag a file for `snakemake --report`, under its section of the paper. One label: of two, the report makes a switch that hides results.

    Where the name is a wildcard, one caption serves all that it stands for: of `{scaling}`, report/scaling.rst.
    """
    return report(
        path,
        caption=f"../report/{name.strip('{}')}.rst",
        category=lambda wildcards: captions.paper_items()[name.format(**wildcards)]["section"],
        labels=lambda wildcards: {"result": captions.label(kind, name.format(**wildcards))},
    )


def figure_files(name):
    """The report shows the svg: sharp at any size."""
    return [
        (
            in_report(f"figures/{{study}}/{name}.svg", name, "Figure")
            if f == "svg"
            else f"figures/{{study}}/{name}.{f}"
        )
        for f in FORMATS
    ]


def table_files(name):
    """The report shows the html: csv and md it would only offer to save."""
    return [
        *(f"tables/{{study}}/{name}.{format}" for format in ["csv", "md"]),
        in_report(f"tables/{{study}}/{name}.html", name, "Table"),
    ]

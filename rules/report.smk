# Files of figures and tables for the report. Each file has one label, because the report turns a
# second label into a switch that hides results.

FIGURE_FORMATS = ["pdf", "svg", "png", "csv"]
TABLE_FORMATS = ["csv", "md", "html"]
SECTIONS = {name: row["section"] for name, row in captions.paper_items().items()}


def section_of(wildcards):
    """Return the report's section of a figure or table whose name is a wildcard."""
    return SECTIONS[wildcards.get("scaling") or wildcards.table]


def figure_labels(wildcards):
    """Return the label of a figure whose name is a wildcard."""
    return {"result": captions.label("Figure", wildcards.scaling)}


def table_labels(wildcards):
    """Return the label of a table whose name is a wildcard."""
    return {"result": captions.label("Table", wildcards.table)}


def figure_files(name):
    """Return the files of a figure. The report shows the svg, which is sharp at any size."""
    wildcard = name.startswith("{")  # one caption serves all figures: report/scaling.rst
    files = {suffix: f"figures/{{study}}/{name}.{suffix}" for suffix in FIGURE_FORMATS}
    files["svg"] = report(
        files["svg"],
        caption=f"../report/{name.strip('{}')}.rst",
        category=section_of if wildcard else SECTIONS[name],
        labels=figure_labels if wildcard else {"result": captions.label("Figure", name)},
    )
    return list(files.values())


def table_files(name):
    """Return the files of a table. The report shows the html; csv and md it would only save."""
    wildcard = name.startswith("{")
    files = {suffix: f"tables/{{study}}/{name}.{suffix}" for suffix in TABLE_FORMATS}
    files["html"] = report(
        files["html"],
        caption=f"../report/{name.strip('{}')}.rst",
        category=section_of if wildcard else SECTIONS[name],
        labels=table_labels if wildcard else {"result": captions.label("Table", name)},
    )
    return list(files.values())

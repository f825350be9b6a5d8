"""Tables of docs/reference/figures.md: the figures and tables that a study can have."""

from synscale.report.captions import paper_items
from synscale.study import automatic


def paper(name: str) -> str:
    """Return what is known about the paper's item of a figure or table."""
    row = paper_items()[name]
    if row["section"] == "Beyond the paper":
        return "not in the paper"
    return ": ".join(text for text in (row["paper_item"], row["evidence"]) if text) or "not known"


def table(section: str, suffix: str) -> str:
    """Return the figures or the tables of a study as a table.

    Parameters
    ----------
    section : {"figures", "tables"}
    suffix : str
        Suffix of the target.
    """
    model, rows = automatic.SECTIONS[section]
    lines = ["| target | shows | paper | needs |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        target = f"`{section}/{{study}}/{name}.{suffix}`"
        needs = rows[name].needs if name in rows else f"the keys of `{section}.{name}`"
        lines.append(f"| {target} | {field.description} | {paper(name)} | {needs} |")
    return "\n".join(lines)


def content() -> str:
    """Return the tables as Markdown."""
    figures, tables = table("figures", "pdf"), table("tables", "csv")
    return "\n\n".join(["## Figures", figures, "## Tables", tables])

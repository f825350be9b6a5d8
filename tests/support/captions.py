"""Captions of the report, rendered without Snakemake."""

from types import SimpleNamespace

import jinja2
from docutils.core import publish_parts

from synscale.report import captions
from tests.support.workflow import ROOT

# Where a rule makes several figures or tables, they share a caption.
CAPTIONS = dict.fromkeys(
    ("supervised_scaling", "ood_scaling", "clip_scaling"), "scaling"
) | dict.fromkeys(("supervised", "ood", "clip"), "table")


def rendered(name: str, folder: str, study) -> str:
    """Return a caption as Snakemake renders it; undefined names and errors of its markup raise."""
    path = ROOT / f"report/{CAPTIONS.get(name, name)}.rst"
    config = {"study": folder, "facts": captions.CaptionFacts({folder: study})}
    snakemake = SimpleNamespace(
        config=config, wildcards=SimpleNamespace(study=folder, scaling=name, table=name)
    )
    environment = jinja2.Environment(  # noqa: S701  (not HTML)
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    text = environment.from_string(path.read_text(encoding="utf-8")).render(snakemake=snakemake)
    if name == "workflow":
        text += "\n\n.. _Provenance: javascript:\n"  # a link that Snakemake adds
    return publish_parts(
        text, writer="html", settings_overrides={"halt_level": 2, "report_level": 2}
    )["html_body"]

"""Where the results of a study come from: versions, commit, machine, results, and the study file.

It is written again whenever a result or a setting of the study changes, and describes the moment
when the last result was finished. Older results may be of an older commit: see their times.
"""

import hashlib
import json
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from textwrap import indent

from pyarrow import parquet

from synscale.data import shards
from synscale.report import html
from synscale.runtime import cli, origin
from synscale.runtime.atomic import atomic_write
from synscale.study.models import Study
from synscale.study.models.generators import LORA_FILE
from synscale.workflow.paths import image_files, selecting_model
from synscale.workflow.published import record_file
from synscale.workflow.settings.provenance import provenance_settings


def result(path: str) -> dict[str, str]:
    """Return path, checksum and time of a result."""
    file = Path(path)
    written = datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(" ", "seconds")
    checksum = hashlib.sha256(file.read_bytes()).hexdigest()
    return {"path": path, "sha256": checksum, "written": written}


def generated_elsewhere(study: Study) -> list[dict[str, str]]:
    """Return the folder of each source that was generated elsewhere, and a hash of its images.

    The hash covers class and sha256 of every image that results use, in order; it is empty if there
    is none.
    """
    return [
        {"source": name, "folder": source.folder} | images_used(study, name)
        for name, source in study.sources.items()
        if source.kind == "images"
    ]


def selected(study: Study) -> list[dict[str, str]]:
    """Return how the images of each selected source are selected, with a hash of its images."""
    rows = []
    for name, source in study.sources.items():
        if source.kind == "selected":
            guidance = "" if source.guidance is None else f" at guidance {source.guidance:g}"
            row = {"source": name, "selected_from": source.source + guidance, "by": source.by}
            row |= {"keep": f"{source.keep:g}", "model": selecting_model(study, name)}
            rows.append(row | images_used(study, name))
    return rows


def images_used(study: Study, source: str) -> dict[str, str]:
    """Return the number of images of a source that exist, and a hash of them; empty if none do."""
    tars = [tar for tar in image_files(study, source) if shards.manifest_path(tar).is_file()]
    images = sum(parquet.read_metadata(shards.manifest_path(tar)).num_rows for tar in tars)
    return {"images": str(images), "sha256": shards.identity(tars) if tars else ""}


def lora_weights(study: Study) -> list[dict[str, str]]:
    """Return base and origin of the LoRA weights of each generator that has some.

    The hash is that of the file; it is empty if the file does not exist here.
    """
    rows = []
    for name, row in study.generators.items():
        if row.kind == "finetuned":
            file = Path(f"results/{study.name}/lora/{name}/{LORA_FILE}")
            images = f"fine-tuned on {row.data.images} images of {row.data.source}"
            rows.append({"generator": name, "base": row.base, "weights": images})
        elif row.kind == "pretrained" and row.lora:
            file = Path(f"results/{study.name}/models/{name}/lora/{row.lora.file}")
            weights = " ".join(filter(None, [row.lora.model, row.lora.revision, row.lora.file]))
            rows.append({"generator": name, "base": row.model, "weights": weights})
        else:
            continue
        rows[-1]["sha256"] = result(str(file))["sha256"] if file.is_file() else ""
    return rows


def opened_bundle(study: Study) -> dict[str, str]:
    """Return where results come from that a bundle put in place; empty without one."""
    path = Path(record_file(study.name))
    if not path.is_file():
        return {}
    record = json.loads(path.read_text(encoding="utf-8"))
    machine = ", ".join(map(str, record["machine"].values()))
    return {"commit": record["commit"], "written": record["written"], "machine": machine}


def table(head: list[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table of texts."""
    texts = [[html.literal(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *texts])


def page(record: dict) -> str:
    """Return the record of a study as a page of html."""
    keys = ("title", "commit", "written", "machine", "settings")
    parts = [
        "# Provenance",
        table(["", ""], [[key, record[key]] for key in keys]),
        "## Versions",
        table(["package", "version"], record["versions"].items()),
        "## Results",
        table(["file", "sha256", "written (UTC)"], [row.values() for row in record["results"]]),
        "## Study file",
        indent(record["study"], "    "),
    ]
    if record["opened_bundle"]:
        rows = table(["", ""], record["opened_bundle"].items())
        parts[2:2] = ["## Published results that these are computed from", rows]
    if record["generated_elsewhere"]:
        rows = [row.values() for row in record["generated_elsewhere"]]
        head = ["source", "folder", "images", "sha256"]
        parts[-2:-2] = ["## Images that were generated elsewhere", table(head, rows)]
    if record["selected"]:
        rows = [row.values() for row in record["selected"]]
        head = ["source", "selected from", "by", "keep", "model", "images", "sha256"]
        parts[-2:-2] = ["## Images that were selected", table(head, rows)]
    if record["lora_weights"]:
        rows = [row.values() for row in record["lora_weights"]]
        head = ["generator", "base", "LoRA weights", "sha256"]
        parts[-2:-2] = ["## Generators with LoRA weights", table(head, rows)]
    return html.page("provenance", "\n\n".join(parts))


def main(arguments: list[str] | None = None) -> None:
    """Write the provenance as html and JSON."""
    parser = cli.parser(__doc__)
    parser.add_argument("--results", required=True, nargs="+", help="figures and tables")
    environments = {"nargs": "+", "type": Path, "help": "environment files of the rules"}
    parser.add_argument("--environments", required=True, **environments)
    version = "its version: a rule's environment need not have it"
    parser.add_argument("--snakemake", required=True, help=version)
    parser.add_argument("--output", required=True, nargs=2, help="html, json")
    args, settings = cli.parse(parser, arguments, provenance_settings)

    record = {
        "title": settings.study.title,
        "commit": origin.commit(),
        "written": datetime.now(UTC).isoformat(" ", "seconds"),
        "machine": platform.platform(),
        "versions": {"snakemake": args.snakemake} | origin.versions(args.environments),
        "settings": settings.digest(),
        "results": [result(path) for path in args.results],
        "opened_bundle": opened_bundle(settings.study),
        "generated_elsewhere": generated_elsewhere(settings.study),
        "selected": selected(settings.study),
        "lora_weights": lora_weights(settings.study),
        "study": Path(args.study).read_text(encoding="utf-8"),
    }
    with atomic_write(*args.output) as (html_file, json_file):
        html_file.write_text(page(record), encoding="utf-8")
        json_file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Fetch the released classifier that makes the scores. Runs where Snakemake does."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from synscale.models import download
from synscale.runtime import cli
from synscale.study import class_table
from synscale.study.load import load_study
from synscale.workflow.settings.evaluation import reference_settings


def mismatch(config: dict, classes: str) -> str | None:
    """Say how outputs of a model differ from the classes of a table, None if they may be the same.

    Parameters
    ----------
    config : dict
        Configuration of the model, of timm (`label_names`) or transformers (`id2label`).
    classes : str
        Path of the class table.
    """
    table, outputs = class_table.rows(classes), config.get("num_classes")
    if outputs not in (None, len(table)):
        fix = "name one that is trained on the study's classes"
        return f"the model has {outputs} outputs, expected {len(table)} (the classes of {classes}); {fix}"
    labels = config.get("id2label") or {}
    names = config.get("label_names") or [labels[key] for key in sorted(labels, key=int)]
    for place, class_id in enumerate(class_table.match(names, table)[1]):
        if class_id not in (None, place):
            fix = "put the class table in the order of its outputs"
            return (
                f"output {place} is {names[place]!r}, which is class {class_id} of {classes}: {fix}"
            )
    return None


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(download.parser(__doc__), arguments, reference_settings)
    download.fetch(
        "scores.reference",
        {"": asdict(settings) | {"use": "classifier"}},
        args.known,
        args.record,
        args.output,
    )
    config = json.loads((Path(args.output) / "config.json").read_text(encoding="utf-8"))
    if told := mismatch(config, load_study(args.study).classes):
        shutil.rmtree(args.output)
        raise SystemExit(f"scores.reference.model = {settings.model!r}: {told}")


if __name__ == "__main__":
    main()

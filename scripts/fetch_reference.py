"""Fetch the published classifier that scores images. Runs where Snakemake runs."""

import json
import shutil
from pathlib import Path

from synscale.models import download
from synscale.study import class_table
from synscale.study.load import load_study
from synscale.workflow.settings.evaluation import reference_settings


def mismatch(config: dict, classes: str) -> str | None:
    """Return how outputs of a model differ from the classes of a table, None if they may match.

    Parameters
    ----------
    config : dict
        Configuration of the model, of timm (`label_names`) or transformers (`id2label`).
    classes : str
        Path of the class table.
    """
    table = class_table.rows(classes)
    outputs = config.get("num_classes")
    if outputs not in (None, len(table)):
        expected = f"the model has {outputs} outputs, expected {len(table)}"
        fix = "name one that is trained on the study's classes"
        return f"{expected} (the classes of {classes}); {fix}"
    labels = config.get("id2label") or {}
    names = config.get("label_names") or [labels[key] for key in sorted(labels, key=int)]
    for place, class_id in enumerate(class_table.match(names, table)[1]):
        if class_id not in (None, place):
            where = f"output {place} is {names[place]!r}, which is class {class_id} of {classes}"
            return f"{where}; put the class table in the order of its outputs"
    return None


def main(arguments: list[str] | None = None) -> None:
    """Run the command line of the rule."""
    name = "scores.reference"
    args, weights = download.run(__doc__, (), arguments, reference_settings, name)
    config = json.loads((Path(args.output) / "config.json").read_text(encoding="utf-8"))
    if reason := mismatch(config, load_study(args.study).classes):
        shutil.rmtree(args.output)
        raise SystemExit(f"{name}.model = {weights.model!r}: {reason}")


if __name__ == "__main__":
    main()

"""The smoke study with a pretrained generator, and command lines of jobs."""

import json

from synscale.study.load import load_study
from tests.support.workflow import SMOKE


def study_with(folder, model, changes="", storage="", source="recipe: class_names"):
    """Write the smoke study with one more generator and a source of 20 of its images."""
    keys = f"kind: pretrained, model: {json.dumps(str(model))}, size: 16, steps: 2{changes}"
    row = f"kind: synthetic, generator: released, {source}, images: {{2.0: 20}}"
    text = SMOKE.read_text()
    text = text.replace("recipes:\n", f"  released: {{{keys}}}\nrecipes:\n", 1)
    text = text.replace("  real_10:", f"  released_images: {{{row}}}\n  real_10:", 1)
    text = text.replace("data:\n", f"{storage}data:\n", 1)
    path = folder / "released.yaml"
    path.write_text(text, encoding="utf-8")
    load_study.cache_clear()
    return path


def options(**values) -> list[str]:
    """Return a command line; options without value are None."""
    line = []
    for name, value in values.items():
        line += [f"--{name}"] if value is None else [f"--{name}", str(value)]
    return line


def generate_options(study, **values) -> list[str]:
    """Return the command line of a job that generates the shard, with other values."""
    known = {"source": "released_images", "shard": "00000", "classes": "data/digits_classes.csv"}
    return options(study=study, **known, **values)

"""The smoke study with a generator that others released."""

import json

from synscale.study.load import load_study
from tests.support.workflow import SMOKE


def study_with(folder, model, changes="", storage="", source="recipe: class_names"):
    """The smoke study with one more generator and a source of 20 images that it makes, in a file of
    its own.
    """
    text = SMOKE.read_text().replace(
        "recipes:\n",
        f"  released: {{kind: pretrained, model: {json.dumps(str(model))}, size: 16, steps: 2{changes}}}\nrecipes:\n",
        1,
    )
    made = f"  released_images: {{kind: synthetic, generator: released, {source}, images: {{2.0: 20}}}}\n"
    text = text.replace("  real_10:", f"{made}  real_10:", 1).replace(
        "data:\n", f"{storage}data:\n", 1
    )
    path = folder / "released.yaml"
    path.write_text(text, encoding="utf-8")
    load_study.cache_clear()
    return path

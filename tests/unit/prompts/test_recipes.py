"""Prompt recipes: the kinds, and prefixes that stay when more images are asked for."""

import subprocess
import sys

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synscale.prompts import recipes
from synscale.study.models.recipes import ClassRecipe
from synscale.workflow.settings.prompts import PromptSettings
from tests.support.workflow import ROOT

CLASSES = pd.read_csv(ROOT / "data/digits_classes.csv")
REAL = pd.DataFrame(
    {
        "class_id": [i % 10 for i in range(50)],
        "caption": [f"caption {i}" for i in range(50)],
        "prompt": [f"text {i}" for i in range(50)],
    }
)


def pool(kind: str, **keys) -> pd.DataFrame:
    settings = PromptSettings(kind, ClassRecipe(kind=kind, **keys))
    return recipes.pool(settings, CLASSES, REAL)


def texts(table: pd.DataFrame, class_id: int) -> set[str]:
    return set(table.loc[table["class_id"] == class_id, "text"])


def test_pool_has_the_texts_of_each_kind():
    assert texts(pool("class_names"), 3) == {"three"}
    assert texts(pool("description"), 3) == {"three, two open curves one above the other"}
    assert texts(pool("hypernyms"), 3) == {"three, an odd number, less than five"}
    assert texts(pool("sentences", patterns=["a {name} here", "{name}?"]), 3) == {
        "a three here",
        "three?",
    }
    assert texts(pool("captions"), 3) == {f"three, caption {i}" for i in (3, 13, 23, 33, 43)}
    assert texts(pool("alt_texts"), 3) == {f"text {i}" for i in (3, 13, 23, 33, 43)}
    templates = texts(pool("clip_templates"), 3)
    assert len(templates) == 80
    assert "a photo of the large three." in templates


def test_templates_are_those_of_open_clip():
    import open_clip

    expected = [template("tench") for template in open_clip.OPENAI_IMAGENET_TEMPLATES]
    assert [template("tench") for template in recipes.openai_templates()] == expected


def test_writing_texts_and_digits_imports_no_torch(tmp_path):
    code = """
import sys
from synscale.data import digits, shards
from synscale.prompts import recipes
images, labels = digits.load()
recipes.openai_templates()
shards.write(sys.argv[1], [("a", images[0].astype("uint8"), {"class_id": 0, "prompt": "a"})])
print("torch" in sys.modules)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "a.tar")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_alt_texts_alternate_between_columns():
    row = CLASSES.iloc[3]
    alternating = [recipes.alt_text(row, "thick", i) for i in range(6)]
    assert (
        alternating[:3]
        == alternating[3:]
        == ["three, thick", f"{row['hypernyms']}, thick", f"{row['description']}, thick"]
    )


def test_pool_refuses_a_class_without_text():
    settings = PromptSettings("c", ClassRecipe(kind="captions"))
    with pytest.raises(ValueError, match=r"recipes\.c: no text, .*for class 'seven'"):
        recipes.pool(settings, CLASSES, REAL[REAL["class_id"] != 7])


@given(st.integers(0, 300), st.integers(0, 300))
def test_prompts_of_a_prefix_stay_and_balance(a, b):
    captions = pool("captions")
    small, large = (recipes.prompts(captions, 0, n) for n in sorted((a, b)))
    assert large.head(len(small)).to_dict("list") == small.to_dict("list")
    counts = large["class_id"].value_counts()
    assert len(large) < 10 or counts.max() - counts.min() <= 1


@given(st.integers(0, 200), st.integers(0, 200))
def test_prompts_of_a_shard_are_those_of_its_range(a, b):
    start, stop = sorted((a, b))
    sentences = pool("sentences", patterns=["a {name}", "b {name}", "c {name}"])
    complete = recipes.prompts(sentences, 0, stop)
    part = recipes.prompts(sentences, start, stop)
    assert part["prompt"].tolist() == complete["prompt"].tolist()[start:]


def test_prompts_use_all_texts_before_one_is_repeated():
    prompts = recipes.prompts(pool("captions"), 0, 50)
    assert prompts["prompt"].is_unique


def test_prompts_of_incomplete_pairs_are_refused():
    pairs = pd.DataFrame(
        {"image": range(10, 20), "class_id": -1, "prompt": [f"text {i}" for i in range(10, 20)]}
    )
    assert recipes.prompts(pairs, 10, 20)["prompt"].tolist() == pairs["prompt"].tolist()
    for missing in (pairs.head(9), pairs.drop(index=3)):
        with pytest.raises(ValueError, match="9 texts, expected those of images 10 to 20"):
            recipes.prompts(missing, 10, 20)

"""Prompt recipes: the kinds, and prefixes that stay when more images are asked for."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synscale.prompts import recipes
from tests.support.workflow import ROOT

CLASSES = pd.read_csv(ROOT / "data/digits_classes.csv")
REAL = pd.DataFrame(
    {
        "class_id": [i % 10 for i in range(50)],
        "caption": [f"caption {i}" for i in range(50)],
        "prompt": [f"text {i}" for i in range(50)],
    }
)


def of(kind: str, **more) -> pd.DataFrame:
    return recipes.pool({"recipe": kind, "kind": kind, "patterns": [], **more}, CLASSES, REAL)


def texts(pool: pd.DataFrame, class_id: int) -> set[str]:
    return set(pool.loc[pool["class_id"] == class_id, "text"])


def test_the_recipes():
    assert texts(of("class_names"), 3) == {"three"}
    assert texts(of("description"), 3) == {"three, two open curves one above the other"}
    assert texts(of("hypernyms"), 3) == {"three, an odd number, less than five"}
    assert texts(of("sentences", patterns=["a {name} here", "{name}?"]), 3) == {
        "a three here",
        "three?",
    }
    assert texts(of("captions"), 3) == {f"three, caption {i}" for i in (3, 13, 23, 33, 43)}
    assert texts(of("alt_texts"), 3) == {f"text {i}" for i in (3, 13, 23, 33, 43)}
    templates = texts(of("clip_templates"), 3)
    assert len(templates) == 80
    assert "a photo of the large three." in templates


def test_alt_texts_go_round_name_hypernyms_and_description():
    row = CLASSES.iloc[3]
    own = [recipes.alt_text(row, "thick", i) for i in range(6)]
    assert (
        own[:3]
        == own[3:]
        == ["three, thick", f"{row['hypernyms']}, thick", f"{row['description']}, thick"]
    )


def test_a_class_without_text_is_refused():
    with pytest.raises(ValueError, match="for class 'seven'"):
        recipes.pool(
            {"recipe": "c", "kind": "captions", "patterns": []},
            CLASSES,
            REAL[REAL["class_id"] != 7],
        )


@given(st.integers(0, 300), st.integers(0, 300))
def test_prompts_of_a_prefix_stay_and_balance(a, b):
    pool = of("captions")
    small, large = (recipes.prompts(pool, 0, n) for n in sorted((a, b)))
    assert large.head(len(small)).to_dict("list") == small.to_dict("list")
    counts = large["class_id"].value_counts()
    assert len(large) < 10 or counts.max() - counts.min() <= 1


@given(st.integers(0, 200), st.integers(0, 200))
def test_a_shard_has_the_prompts_of_its_range(a, b):
    start, stop = sorted((a, b))
    pool = of("sentences", patterns=["a {name}", "b {name}", "c {name}"])
    whole, part = recipes.prompts(pool, 0, stop), recipes.prompts(pool, start, stop)
    assert part["prompt"].tolist() == whole["prompt"].tolist()[start:]


def test_all_texts_of_a_class_are_used_before_one_is_used_again():
    prompts = recipes.prompts(of("captions"), 0, 50)
    assert prompts["prompt"].is_unique


def test_texts_of_pairs_are_all_there_or_the_shard_is_not_made():
    pairs = pd.DataFrame(
        {"image": range(10, 20), "class_id": -1, "prompt": [f"text {i}" for i in range(10, 20)]}
    )
    assert recipes.prompts(pairs, 10, 20)["prompt"].tolist() == pairs["prompt"].tolist()
    for missing in (pairs.head(9), pairs.drop(index=3)):
        with pytest.raises(
            ValueError, match="9 texts of real pairs where those of images 10 to 20 are needed"
        ):
            recipes.prompts(missing, 10, 20)

"""Prompts by models of transformers, tiny and random but of the true classes and files."""

import json

from synscale.runtime.torch_setup import deterministic

import numpy as np
import pandas as pd
import pytest
import torch

from synscale.data import shards
from synscale.models import language_models, prompt_jobs
from synscale.prompts import recipes
from synscale.study.models.recipes import ImageCaptions, WordToSentence
from synscale.training import checkpoint
from synscale.workflow.settings.prompts import PromptSettings
from tests.support.interrupted import Killed
from tests.support.tiny_models import WORDS, save_blip2, save_t5
from tests.support.workflow import ROOT, Workflow

CLASSES = pd.read_csv(ROOT / "data/digits_classes.csv")
T5 = WordToSentence(kind="word_to_sentence", model="./t5", texts=12, batch_size=5, max_tokens=6)
BLIP2 = ImageCaptions(
    kind="image_captions", model="./blip2", batch_size=4, max_tokens=6, min_tokens=1
)


def sentences_with(**keys) -> PromptSettings:
    """Settings of the sentences with other keys of the recipe."""
    return PromptSettings("s", T5.model_copy(update=keys))


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    return save_t5(tmp_path_factory.mktemp("t5"), CLASSES["name"])


@pytest.fixture(scope="module")
def blip2(tmp_path_factory):
    return save_blip2(tmp_path_factory.mktemp("blip2"))


@pytest.fixture(scope="module")
def writer(t5):
    return language_models.Writer(t5, deterministic(1))


@pytest.fixture(scope="module")
def captioner(blip2):
    return language_models.Captioner(blip2, deterministic(1))


@pytest.fixture(scope="module")
def tar(tmp_path_factory) -> str:
    """A shard of 12 grey images."""
    random, path = np.random.default_rng(0), str(tmp_path_factory.mktemp("shard") / "00000.tar")
    shards.write(
        path,
        (
            (
                f"a{i}",
                random.integers(0, 255, (8, 8), np.uint8),
                {"class_id": i % 10, "prompt": "p"},
            )
            for i in range(12)
        ),
    )
    return path


def state_of(folder) -> tuple[checkpoint.TrainingCheckpoint, prompt_jobs.TextRows]:
    """State of a job that is saved after every step."""
    texts = prompt_jobs.TextRows()
    return checkpoint.TrainingCheckpoint(folder, "i", {"texts": texts}, every=0), texts


def until_killed(method, calls: int):
    """`method`, which is killed at the call after the first `calls`."""
    left = iter(range(calls))

    def call(*arguments):
        if next(left, None) is None:
            raise Killed
        return method(*arguments)

    return call


# -- sentences -------------------------------------------------------------------------------------


def test_bare_words_of_a_class_name():
    assert language_models.bare_words("carpenter's kit, tool kit") == "carpenters kit tool kit"
    assert language_models.bare_words("St. Bernard") == "St. Bernard"


@pytest.mark.parametrize(
    ("name", "sentence", "text"),
    [
        ("ant", "An ant walks", "An ant walks"),
        ("ant", "an elephant walks", "ant, an elephant walks"),
        ("great white shark", "a Great White Shark swims", "a Great White Shark swims"),
        ("C++ (a book)", "a C++ (a book) lies there", "a C++ (a book) lies there"),
    ],
)
def test_with_name_joins_only_sentences_without_the_name(name, sentence, text):
    assert language_models.with_name(name, sentence) == text


def test_tokens_are_drawn_by_their_probability():
    scores = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    random = (torch.arange(4000, dtype=torch.float64)[:, None] + 0.5) / 4000

    def shares(**changes):
        tokens = language_models.TokenSampler(random, T5.model_copy(update=changes))(
            torch.zeros(4000, 1), scores.expand(4000, -1)
        ).argmax(-1)
        return torch.bincount(tokens, minlength=4) / 4000

    assert torch.allclose(shares(), scores[0].softmax(-1), atol=1e-3)
    assert torch.allclose(shares(temperature=0.5), (2 * scores[0]).softmax(-1), atol=1e-3)
    assert torch.allclose(
        shares(top_k=2), torch.cat([scores[0, :2].softmax(-1), torch.zeros(2)]), atol=1e-3
    )
    assert torch.allclose(
        shares(top_p=0.7), torch.cat([scores[0, :2].softmax(-1), torch.zeros(2)]), atol=1e-3
    )  # only 0.64 is too little
    assert shares(top_p=0.6)[0] == 1


def test_sentences_are_unique_and_the_same_in_any_batch(writer):
    texts = writer.sentences(sentences_with(), 3, "three")
    assert len(texts) == len(set(texts)) == 12
    assert all("three" in text.split(",")[0].split() or "three" in text.split() for text in texts)
    assert writer.sentences(sentences_with(batch_size=64), 3, "three") == texts
    assert writer.sentences(sentences_with(texts=5), 3, "three") == texts[:5]
    assert writer.sentences(sentences_with(seed=1), 3, "three") != texts
    assert writer.sentences(sentences_with(), 4, "three") != texts  # two classes may have one name


def test_class_with_too_few_sentences_is_refused(writer):
    message = r"'three' has too few .* sentences \([01] after 120 draws, expected 12\); lower"
    with pytest.raises(language_models.TextError, match=message):
        writer.sentences(sentences_with(top_k=1), 3, "three")


def test_sentences_resume_after_an_interruption(writer, tmp_path, monkeypatch):
    def write(folder):
        return prompt_jobs.write_sentences(sentences_with(), CLASSES, writer, *state_of(folder))

    complete = write(tmp_path / "whole")
    assert complete.groupby("class_id").size().tolist() == [12] * 10
    sentences = writer.sentences
    monkeypatch.setattr(writer, "sentences", until_killed(sentences, 6))
    with pytest.raises(Killed):
        write(tmp_path / "killed")
    monkeypatch.setattr(writer, "sentences", until_killed(sentences, 4))
    pd.testing.assert_frame_equal(write(tmp_path / "killed"), complete)
    assert recipes.pool(sentences_with(), CLASSES, complete)["text"].isin(complete["text"]).all()


# -- captions --------------------------------------------------------------------------------------


def captions(captioner, tar, folder, **changes) -> pd.DataFrame:
    settings = PromptSettings("c", BLIP2.model_copy(update=changes))
    return prompt_jobs.caption_images(settings, tar, captioner, *state_of(folder))


def test_captions_are_the_same_in_any_batch(captioner, tar, tmp_path):
    table = captions(captioner, tar, tmp_path / "4")
    assert table["key"].tolist() == [f"a{i}" for i in range(12)]
    assert table["class_id"].tolist() == [*range(10), 0, 1]
    assert (
        table["caption"].nunique() > 1 and table["caption"].str.split().map(len).nunique() > 1
    )  # some captions end early, others in the same batch continue
    assert set(" ".join(table["caption"]).split()) <= set(WORDS)
    for size in (1, 64):
        pd.testing.assert_frame_equal(
            captions(captioner, tar, tmp_path / f"{size}", batch_size=size), table
        )


def test_captions_continue_a_prompt_without_repeating_it(captioner, tar, tmp_path):
    bare, led = (
        captions(captioner, tar, tmp_path / name, prompt=prompt, max_tokens=2)["caption"]
        for name, prompt in (("b", ""), ("l", "a thick pen"))
    )
    assert bare.tolist() != led.tolist()
    assert led.str.split().map(len).max() <= 2


@pytest.mark.parametrize(
    ("language_model", "dtype"), [("t5", torch.float32), ("opt", torch.bfloat16)]
)
def test_captions_of_other_builds_of_the_model(tar, tmp_path, language_model, dtype):
    captioner = language_models.Captioner(
        save_blip2(tmp_path / "model", language=language_model), deterministic(1), dtype
    )
    table = captions(captioner, tar, tmp_path / "state")
    assert table["caption"].nunique() > 1
    assert set(" ".join(table["caption"]).split()) <= set(WORDS)


def test_captions_of_colour_images(captioner):
    grey = np.random.default_rng(0).integers(0, 255, (3, 1, 8, 8), np.uint8)
    assert captioner.captions(BLIP2, grey) == captioner.captions(BLIP2, grey.repeat(3, 1))


@pytest.mark.parametrize("calls", [1, 2])
def test_captions_resume_after_an_interruption(captioner, tar, tmp_path, monkeypatch, calls):
    complete = captions(captioner, tar, tmp_path / "whole")
    caption = captioner.captions
    monkeypatch.setattr(captioner, "captions", until_killed(caption, calls))
    with pytest.raises(Killed):
        captions(captioner, tar, tmp_path / "killed")
    monkeypatch.setattr(captioner, "captions", until_killed(caption, 3 - calls))
    pd.testing.assert_frame_equal(captions(captioner, tar, tmp_path / "killed"), complete)


def test_empty_caption_is_refused_with_its_image(tar, tmp_path):
    captioner = language_models.Captioner(
        save_blip2(tmp_path / "model", ends_at_once=True), deterministic(1)
    )
    with pytest.raises(
        language_models.TextError,
        match=r"caption of image 'a0', class 0, is empty; set min_tokens to 1",
    ):
        captions(captioner, tar, tmp_path / "state", min_tokens=0)
    assert captions(captioner, tar, tmp_path / "state")["caption"].str.len().min() > 0


# -- through Snakemake -----------------------------------------------------------------------------


@pytest.mark.slow
def test_prompts_of_models_and_files_through_the_rules(workflow: Workflow, t5, blip2):
    odd = ['she said "four"', "two\nlines", "零"]
    user_texts = pd.DataFrame({"class_id": [*range(10), 0, 0, 0], "text": [*CLASSES["name"], *odd]})
    user_texts.to_csv(workflow.folder / "mine.csv", index=False)
    new_recipes = {
        "by_model": {"kind": "word_to_sentence", "model": t5, "texts": 3, "max_tokens": 6},
        "of_images": {"kind": "image_captions", "model": blip2, "max_tokens": 4, "min_tokens": 1},
        "mine": {"kind": "texts", "file": "mine.csv"},
    }
    workflow.edit(
        "recipes:\n",
        "recipes:\n"
        + "".join(f"  {name}: {json.dumps(recipe)}\n" for name, recipe in new_recipes.items()),
    )
    targets = [f"results/smoke/prompts/{name}.parquet" for name in new_recipes]
    workflow.run(*targets)
    by_model, of_images, own_pool = (
        pd.read_parquet(workflow.folder / target) for target in targets
    )
    assert by_model.groupby("class_id").size().tolist() == [3] * 10
    captions = [
        pd.read_parquet(workflow.folder / f"results/smoke/captions/of_images/0000{shard}.parquet")
        for shard in (0, 1)
    ]  # 40 images, 20 a shard
    manifests = [
        pd.read_parquet(
            workflow.folder / f"results/smoke/data/classifier_training/0000{shard}.parquet"
        )
        for shard in (0, 1)
    ]
    assert all(
        caption["key"].tolist() == manifest["key"].tolist()
        for caption, manifest in zip(captions, manifests, strict=True)
    )
    assert of_images.groupby("class_id").size().tolist() == [4] * 10
    assert all(
        text.startswith(f"{CLASSES['name'][class_id]}, ")
        for class_id, text in zip(of_images["class_id"], of_images["text"], strict=True)
    )
    assert set(own_pool.loc[own_pool["class_id"] == 0, "text"]) == {"zero", *odd}
    assert not list((workflow.folder / ".state/smoke/captions").glob("*"))
    assert "no recipe with a model 'class_names'" in workflow.dry_run(
        "results/smoke/prompt_models/class_names", check=False
    )
    assert "no shard of real images '00002'" in workflow.dry_run(
        "results/smoke/captions/of_images/00002.parquet", check=False
    )
    user_texts.head(10).to_csv(workflow.folder / "mine.csv", index=False)
    assert workflow.planned(*targets) == {"write_prompts": 1}

"""Lists of shards, and who reads them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts import index_shards, write_prompts
from synscale.data import shard_index, shards
from synscale.study.load import load_study
from synscale.workflow.paths import index_before, indexed_tars
from synscale.workflow.shards import SHARDS_PER_INDEX
from tests.support.workflow import ROOT, SMOKE


@pytest.fixture
def listed(tmp_path):
    """Two shards of ten images of digits, and their list."""
    for shard in range(2):
        rows = [
            (
                f"{i:09d}",
                np.full((8, 8), i, np.uint8),
                {"image": i, "class_id": i % 10, "prompt": f"p{i}", "caption": f"c{i}"},
            )
            for i in range(10 * shard, 10 * shard + 10)
        ]
        shards.write(tmp_path / f"{shard:05d}.tar", rows)
    index_shards.main(
        [
            "--settings-digest",
            "s",
            "--tars",
            *(str(tmp_path / f"{shard:05d}.tar") for shard in range(2)),
            "--output",
            str(tmp_path / "list.csv"),
        ]
    )
    return tmp_path / "list.csv"


def test_index_names_each_shard_with_its_images(listed):
    rows = shard_index.read([listed])
    assert [row["tar"] for row in rows] == [
        str(listed.with_name(name)) for name in ("00000.tar", "00001.tar")
    ]
    assert [row["images"] for row in rows] == ["10", "10"]
    assert rows[0]["digest"] != rows[1]["digest"]
    index_shards.main(
        [
            "--settings-digest",
            "s",
            "--tars",
            str(listed.with_name("00000.tar")),
            "--output",
            str(listed.with_name("first.csv")),
        ]
    )
    assert shard_index.read([listed.with_name("first.csv")]) == rows[:1]
    assert shard_index.identity([listed]) != shard_index.identity([listed.with_name("first.csv")])


def test_index_continues_the_one_before(listed):
    whole, first, second = (listed.with_name(f"{name}.csv") for name in ("list", "first", "second"))
    index_shards.main(
        [
            "--settings-digest",
            "s",
            "--tars",
            str(listed.with_name("00000.tar")),
            "--output",
            str(first),
        ]
    )
    index_shards.main(
        [
            "--settings-digest",
            "s",
            "--before",
            str(first),
            "--tars",
            str(listed.with_name("00001.tar")),
            "--output",
            str(second),
        ]
    )
    assert second.read_text() == whole.read_text()


@given(st.integers(0, 3 * SHARDS_PER_INDEX))
def test_indexes_in_a_row_name_each_shard_once(number):
    study = load_study(ROOT / "studies/imagenet.yaml")
    last, named = f"g2-{number:05d}", []
    while last:
        own = indexed_tars(study, "sd_class_names", last)
        assert 0 < len(own) <= SHARDS_PER_INDEX
        named, before = own + named, index_before(study, "sd_class_names", last)
        last = Path(before[0]).stem if before else None
    assert named == [
        f"results/imagenet/images/sd_class_names/g2-{shard:05d}.tar" for shard in range(number + 1)
    ]


def test_manifest_without_its_tar_is_reported(listed):
    listed.with_name("00001.tar").unlink()
    with pytest.raises(shards.ShardError, match=r"00001.tar: no such file; remove .*00001.parquet"):
        shard_index.write(
            listed, [], [listed.with_name("00000.tar"), listed.with_name("00001.tar")], "s"
        )


def test_captions_are_read_from_all_indexed_shards(listed):
    output = listed.with_name("pool.parquet")
    what = [
        "--study",
        str(SMOKE),
        "--recipe",
        "captions",
        "--classes",
        str(ROOT / "data/digits_classes.csv"),
    ]
    write_prompts.main([*what, "--known", str(listed), "--output", str(output)])
    texts = pd.read_parquet(output)["text"].tolist()
    assert len(texts) == 20
    assert {f"c{i}" for i in range(20)} == {text.rpartition(", ")[2] for text in texts}

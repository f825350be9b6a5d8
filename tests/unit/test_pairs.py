"""Image-text pairs are read where they lie, each once in a pass, whoever reads them."""

import random
from itertools import chain, islice

import scripts.lib.torch_setup  # noqa: F401

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scripts.lib import pairs, shards, stream


def write(path, numbers, guidance=(None,), **storage) -> str:
    """Images of one grey, that of their number, at each guidance scale; the text names both."""
    rows = []
    for scale in guidance:
        for i in numbers:
            row = {"image": i, "class_id": -1, "prompt": f"{path.parent.name} {i} {scale}"} | ({} if scale is None else {"guidance": scale})
            rows.append((f"{scale}-{i:03d}", np.full((8, 8, 3), 8 * i, np.uint8), row))
    shards.write(path, rows, {"format": "png"} | storage)
    return str(path)


def source(folder, counts: list[int], guidance=(None,), **storage) -> list[str]:
    starts = np.cumsum([0, *counts])
    folder.mkdir()
    return [write(folder / f"{n:05d}.tar", range(starts[n], starts[n + 1]), guidance, **storage) for n in range(len(counts))]


def part(name: str, images: int, guidance: float | None = None) -> dict:
    return {"source": name, "guidance": guidance, "images": images}


def reader_of(found: pairs.Pairs) -> pairs.Reader:
    return pairs.Reader(found.images, lambda image: torch.tensor(image.getpixel((0, 0))), lambda text: [text], seed=0)


def read(found: pairs.Pairs) -> list[tuple[int, str]]:
    """Grey and text of every pair."""
    own = reader_of(found)
    return [(image.getpixel((4, 4))[0], text) for image, text in map(own.pair, range(sum(found.counts)))]


@pytest.mark.parametrize("storage", [{"format": "png"}, {"format": "webp", "quality": 95}, {"format": "jpeg", "quality": 95}])
def test_pairs_are_the_first_of_each_part_with_their_own_texts(tmp_path, storage):
    tars = {"real": source(tmp_path / "real", [5, 5, 2], **storage), "made": source(tmp_path / "made", [4, 4], (1.0, 1.5), **storage)}
    found = pairs.find(tars, [part("real", 7), part("made", 6, 1.5)])
    assert found.counts == [7, 6]
    shown = read(found)
    assert [text for _, text in shown] == [f"real {i} None" for i in range(7)] + [f"made {i} 1.5" for i in range(6)]
    assert [grey for grey, _ in shown] == pytest.approx([8 * i for i in [*range(7), *range(6)]], abs=2)


def test_what_is_not_there_is_told_before_anything_is_read(tmp_path):
    tars = {"real": source(tmp_path / "real", [3, 3])}
    with pytest.raises(SystemExit, match="6 images at guidance None, but a run needs 7 of real"):
        pairs.find(tars, [part("real", 7)])
    with pytest.raises(shards.ShardError, match=r"00001.tar: its images at guidance None are not those from number 0 on"):
        pairs.find({"real": tars["real"][::-1]}, [part("real", 6)])
    missing = str(tmp_path / "real/00002.tar")
    with pytest.raises(shards.ShardError, match=r"00002.parquet: no such file: remove both files"):
        pairs.find({"real": [*tars["real"], missing]}, [part("real", 7)])


def test_pairs_are_told_apart_by_their_texts_too(tmp_path):
    one, other = ({"real": [write(tmp_path / name / "00000.tar", range(3))]} for name in ("one", "other"))
    first = pairs.find(one, [part("real", 3)]).identity
    assert first != pairs.find(other, [part("real", 3)]).identity
    assert first != pairs.find(one, [part("real", 2)]).identity


SHARE = st.sampled_from([(1, 1), (1, 3), (2, 1), (3, 1), (3, 2), (6, 1)])  # ranks, turns of each


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), SHARE, SHARE, st.integers(0, 5))
def test_a_batch_is_the_same_whoever_shares_it_and_a_pass_holds_each_pair_once(sizes, share, other, seed):
    found = pairs.Pairs(stream.Stored([stream.Block(f"{n}.tar", None, size) for n, size in enumerate(sizes)]), sizes, "")
    batch, iterations = 6, -(-2 * sum(sizes) // 6)

    def batches(ranks, turns, parts=1):
        own = []
        for rank in range(ranks):
            loader = pairs.Loader(found, None, "passes", seed, batch, iterations // parts, turns, rank, ranks, 0)
            drawn = []
            for number in range(parts):
                loader.set_epoch(number)
                drawn += [positions.tolist() for _, positions in loader.draws()]
            assert len(drawn) == iterations // parts * parts * turns
            own.append([list(chain(*drawn[i : i + turns])) for i in range(0, len(drawn), turns)])
        return [list(chain(*shared)) for shared in zip(*own, strict=True)]

    drawn = batches(*share)
    assert [sorted(own) for own in batches(*other)] == [sorted(own) for own in drawn]
    assert batches(1, 1, parts=2)[: iterations // 2 * 2] == batches(1, 1)[: iterations // 2 * 2]  # where a training is cut matters not
    ahead = list(chain(*drawn))
    for number in range(2):
        assert sorted(ahead[number * sum(sizes) : (number + 1) * sum(sizes)]) == list(range(sum(sizes)))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_parts_are_mixed_evenly(counts):
    order = pairs.interleaved(counts)
    assert sorted(order) == list(range(sum(counts)))
    own = np.repeat(np.arange(len(counts)), counts)[order]
    for index, count in enumerate(counts):
        ahead = np.cumsum(own == index) - np.arange(1, len(order) + 1) * count / len(order)
        assert np.abs(ahead).max() <= len(counts) / 2 + 0.5
        assert (np.diff(order[own == index]) > 0).all()


def test_a_window_over_endless_passes_draws_all_pairs_about_as_often():
    drawn = torch.cat([positions for _, positions in islice(pairs.window([3, 7], 20, random.Random(0)), 2000)])  # noqa: S311
    counts = torch.bincount(drawn)
    assert counts.sum() == 40_000
    assert len(counts) == 10
    assert (counts - 4000).abs().max() < 700  # those that the window holds at the end are missing

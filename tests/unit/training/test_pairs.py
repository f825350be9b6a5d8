"""Image-text pairs: each once in an epoch, with its text, with any readers."""

import numpy as np
import pytest
import torch

from synscale.data import shards
from synscale.models import clip
from synscale.study.models import TrainingPart
from synscale.study.models.generators import Storage
from synscale.training import clip_loop, pairs
from synscale.training.clip_loop import ClipJob
from synscale.training.distributed import ProcessGroup
from tests.support.clip_runs import CPU, job_of, run_of


def write(path, numbers, guidance=(None,), **storage) -> str:
    """Images of one grey, that of their number, at each guidance scale; the text names both."""
    rows = []
    for scale in guidance:
        for i in numbers:
            row = {"image": i, "class_id": -1, "prompt": f"{path.parent.name} {i} {scale}"} | (
                {} if scale is None else {"guidance": scale}
            )
            rows.append((f"{scale}-{i:03d}", np.full((8, 8, 3), 8 * i, np.uint8), row))
    shards.write(path, rows, Storage(**storage))
    return str(path)


def source(folder, counts: list[int], guidance=(None,), **storage) -> list[str]:
    starts = np.cumsum([0, *counts])
    folder.mkdir()
    return [
        write(folder / f"{n:05d}.tar", range(starts[n], starts[n + 1]), guidance, **storage)
        for n in range(len(counts))
    ]


def part(name: str, images: int, guidance: float | None = None) -> TrainingPart:
    """Return the first images of a source."""
    return TrainingPart(name, guidance, images)


def read(opened: pairs.Pairs) -> list[tuple[int, str]]:
    """Grey and text of every pair."""
    positions = torch.arange(len(opened.images))
    tokens = pairs.Tokens(opened.images, lambda text: [text])
    greys = opened.images.read(positions)[0][:, 0, 4, 4].tolist()
    return list(zip(greys, map(tokens.text, positions.tolist()), strict=True))


@pytest.mark.parametrize(
    "storage",
    [{"format": "png"}, {"format": "webp", "quality": 95}, {"format": "jpeg", "quality": 95}],
)
def test_pairs_are_the_first_of_each_part_with_their_texts(tmp_path, storage):
    tars = {
        "real": source(tmp_path / "real", [5, 5, 2], **storage),
        "made": source(tmp_path / "made", [4, 4], (1.0, 1.5), **storage),
    }
    opened = pairs.open_pairs(tars, [part("real", 7), part("made", 6, 1.5)])
    assert opened.images.sizes == [5, 2, 4, 2]
    shown = read(opened)
    assert [text for _, text in shown] == [f"real {i} None" for i in range(7)] + [
        f"made {i} 1.5" for i in range(6)
    ]
    assert [grey for grey, _ in shown] == pytest.approx(
        [8 * i for i in [*range(7), *range(6)]], abs=2
    )


def test_missing_pairs_are_reported_before_reading(tmp_path):
    tars = {"real": source(tmp_path / "real", [3, 3])}
    with pytest.raises(
        SystemExit, match=r"too few images of real at guidance None .* \(6, expected 7\)"
    ):
        pairs.open_pairs(tars, [part("real", 7)])
    with pytest.raises(
        shards.ShardError,
        match=r"00001.tar: its images at guidance None do not begin with number 0",
    ):
        pairs.open_pairs({"real": tars["real"][::-1]}, [part("real", 6)])
    missing = str(tmp_path / "real/00002.tar")
    with pytest.raises(shards.ShardError, match=r"00002.parquet: no such file; remove both files"):
        pairs.open_pairs({"real": [*tars["real"], missing]}, [part("real", 7)])


def test_identity_depends_on_texts(tmp_path):
    one, other = (
        {"real": [write(tmp_path / name / "00000.tar", range(3))]} for name in ("one", "other")
    )
    first = pairs.open_pairs(one, [part("real", 3)]).identity
    assert first != pairs.open_pairs(other, [part("real", 3)]).identity
    assert first != pairs.open_pairs(one, [part("real", 2)]).identity


def job_with(batch: int, steps: int, seed: int) -> ClipJob:
    return job_of(run_of("one", ("real", None, 1), seed=seed, iterations=steps), batch_size=batch)


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> pairs.Pairs:
    folder = tmp_path_factory.mktemp("many")
    return pairs.open_pairs({"real": source(folder / "real", [5, 3, 4])}, [part("real", 12)])


@pytest.mark.parametrize(("ranks", "count", "first"), [(1, 3, 1), (3, 2, 2), (6, 1, 3)])
def test_batch_does_not_depend_on_ranks_or_micro_batches(many, ranks, count, first):
    job = job_with(6, 5, seed=2)

    def batches(ranks, count, first=0):
        """Positions of each step, of all processes together, and what they are paired with."""
        teams = [ProcessGroup(CPU, rank, ranks) for rank in range(ranks)]
        read = [
            list(clip_loop.iter_micro_batches(job, many, first, count, processes))
            for processes in teams
        ]
        steps = []
        for step in range(5 - first):
            step_batches = [
                batch for part in read for batch in part[count * step : count * (step + 1)]
            ]
            positions, tokens = (
                torch.cat([getattr(b, key) for b in step_batches])
                for key in ("positions", "tokens")
            )
            images = torch.cat([batch.images for batch in step_batches])
            order = positions.argsort(stable=True)
            steps.append(
                (positions[order].tolist(), tokens[order].tolist(), images[order].tolist())
            )
        return steps

    single = batches(1, 1)
    assert [sorted(step_batches[0]) for step_batches in single] == [
        sorted(step_batches[0]) for step_batches in batches(ranks, count)
    ]
    assert batches(ranks, count, first) == batches(ranks, count)[first:]  # resumed at any step
    for epoch in range(2):
        seen = [
            position
            for step_batches in single[2 * epoch : 2 * epoch + 2]
            for position in step_batches[0]
        ]
        assert sorted(seen) == list(range(12))


def test_tokens_are_those_of_each_image(many):
    job = job_with(6, 2, 0)
    tokenize = clip.tokenizer(job.architecture.context_length, job.architecture.merges)
    for batch in clip_loop.iter_micro_batches(job, many, 0, 1, ProcessGroup(CPU)):
        texts = [f"real {position} None" for position in batch.positions.tolist()]
        assert torch.equal(batch.tokens, tokenize(texts))
        assert (batch.images[:, 0, 4, 4] // 8).tolist() == batch.positions.tolist()


def test_sources_of_a_mixture_are_shuffled_together(tmp_path):
    tars = {
        "real": source(tmp_path / "real", [8] * 4),
        "made": source(tmp_path / "made", [8] * 4, (1.0,)),
    }
    opened = pairs.open_pairs(tars, [part("real", 30), part("made", 30, 1.0)])
    batches = clip_loop.iter_micro_batches(job_with(20, 3, 0), opened, 0, 1, ProcessGroup(CPU))
    for batch in batches:  # one epoch; the standard deviation of the number of real ones is 2
        assert 6 <= (batch.positions < 30).sum() <= 14

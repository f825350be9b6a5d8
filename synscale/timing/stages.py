"""What is timed of each rule of a study: its code, at the study's shapes and settings.

Weights are those on disk or random (`stand_ins`): speed does not depend on them. Images are
generated (`fake_images`).
"""

from collections.abc import Callable, Iterator

from synscale.timing import evaluating, generating, prompting, reading, starting, training
from synscale.timing.bench import Bench, Timed

STAGES: dict[str, Callable[[Bench], Iterator[Timed]]] = {
    "starts": starting.starts,
    "prepare_data": starting.prepare_files,
    "reads": reading.reads,
    "write_sentences": prompting.write,
    "caption_images": prompting.caption,
    "train_generator": generating.train_generators,
    "generate": generating.generate_images,
    "train_classifiers": training.train_classifiers,
    "evaluate": evaluating.time_classifiers,
    "train_clip": training.train_clip,
    "evaluate_clip": evaluating.time_clip,
    "score": evaluating.time_scores,
    "flag_images": evaluating.time_flags,
}

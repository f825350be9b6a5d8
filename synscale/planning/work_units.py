"""Units of work that a type of machine has a speed for.

| unit | meaning |
|---|---|
| `job` | start of the job |
| `run` | model trained or evaluated |
| `step` | training iteration |
| `image` | image generated, read or evaluated |
| `pair` | pair of images that are compared |
| `pass` | image through the first stage of a generator: steps x images, twice with guidance |
| `curve` | curve fitted |
| `text` | text written by a language model |
| `tflop` | arithmetic of all of it |
| `read` | image that a training reads: decoded, cropped, flipped, erased; of a pair also its text |
| `augment` | operation of RandAugment on an image that is read |
"""

from dataclasses import dataclass, field

SMALL_FILE = 20_000  # bytes of a figure, a table or metrics


class PlanError(ValueError):
    """A plan that is impossible. The message says how to fix it."""


@dataclass(frozen=True)
class Work:
    """The work of a job.

    Parameters
    ----------
    units : dict of str to float
        Count of each unit.
    kind : str
        Kind of the generator or evaluation set, if a machine's speed depends on it.
    images : int
        Images that are generated.
    outputs : int
        Bytes of the outputs.
    state : int
        Bytes next to the outputs while the job runs, which a restarted job resumes from.
    gpus : int
    readers : int
        Cores for each GPU that read images for a training.
    image_size : int
        Pixels a side of the stored images that are read.
    """

    units: dict[str, float] = field(default_factory=lambda: {"job": 1})
    kind: str = ""
    images: int = 0
    outputs: int = 0
    state: int = 0
    gpus: int = 0
    readers: int = 1
    image_size: int = 0


NOTHING = Work({})  # a job that a smaller study does not have

"""The work of the jobs in which models write prompts, which resume after an interruption."""

import pandas as pd
import pyarrow.parquet as pq

from synscale.data import shards
from synscale.models.language_models import Captioner, TextError, Writer
from synscale.runtime.time_left import Stopwatch
from synscale.workflow.settings.prompts import PromptSettings


class TextRows:
    """Rows that a job has written so far, as a part of its saved state."""

    def __init__(self):
        self.rows: list[list] = []

    def state_dict(self) -> dict:
        """Return the rows."""
        return {"rows": self.rows}

    def load_state_dict(self, state: dict) -> None:
        """Take the rows of a saved state."""
        self.rows = state["rows"]


def write_sentences(
    settings: PromptSettings, classes: pd.DataFrame, writer: Writer, state, texts: TextRows
) -> pd.DataFrame:
    """Write the sentences of every class.

    Parameters
    ----------
    settings : PromptSettings
    classes : DataFrame
        The class table.
    writer : Writer
    state : TrainingCheckpoint
        Saved state of the job, whose part is `texts`.
    texts : TextRows
        Rows of the first classes, if an earlier attempt was interrupted.

    Returns
    -------
    DataFrame
        class_id and text of every sentence.
    """
    first = state.load()
    stopwatch = Stopwatch(len(classes) - first)
    for done in range(first, len(classes)):
        row = classes.iloc[done]
        class_id, name = int(row["class_id"]), row["name"]
        texts.rows += [[class_id, text] for text in writer.sentences(settings, class_id, name)]
        state.save_if_due(done + 1)
        left = stopwatch.left(done + 1 - first)
        print(f"class {done + 1} of {len(classes)}: {name}, {left}", flush=True)
    return pd.DataFrame(texts.rows, columns=["class_id", "text"])


def caption_images(
    settings: PromptSettings, tar: str, captioner: Captioner, state, texts: TextRows
) -> pd.DataFrame:
    """Caption every image of a shard.

    Parameters
    ----------
    settings : PromptSettings
    tar : str
    captioner : Captioner
    state : TrainingCheckpoint
        Saved state of the job, whose part is `texts`.
    texts : TextRows
        Rows of the first images, if an earlier attempt was interrupted.

    Returns
    -------
    DataFrame
        key, class_id and caption of every image.

    Raises
    ------
    TextError
        If a caption is empty.
    """
    done = first = state.load()
    total = pq.read_metadata(shards.manifest_path(tar)).num_rows
    stopwatch = Stopwatch(total - first)
    for images, rows in shards.batches(tar, settings.recipe.batch_size, done):
        captions = captioner.captions(settings.recipe, images)
        for key, class_id, text in zip(rows["key"], rows["class_id"], captions, strict=True):
            if not text:
                problem = f"the caption of image {key!r}, class {class_id}, is empty"
                fix = "set min_tokens to 1, or a prompt"
                raise TextError(f"recipes.{settings.name}: {problem}; {fix}")
            texts.rows.append([key, int(class_id), text])
        done += len(images)
        state.save_if_due(done)
        left = stopwatch.left(done - first)
        print(f"{done} of {total} images, {left}: {texts.rows[-1][2]}", flush=True)
    return pd.DataFrame(texts.rows, columns=["key", "class_id", "caption"])

"""Results of the evaluation sets that an interrupted evaluation has finished.

An evaluation goes through its sets one after the other, for half an hour or more. What it has of a
set is written when the set is done, so that the next attempt starts with the next set. The folder
is not a declared output, because Snakemake deletes those of a failed job.
"""

import json
from pathlib import Path
from typing import Any

from synscale.runtime.atomic import atomic_write
from synscale.training import checkpoint


class FinishedSets:
    """Results that are kept until the evaluation is complete.

    Numbers are written with all their digits, so that a resumed evaluation gives the same bits.
    `checkpoint.discard(folder)` removes them at the end.

    Parameters
    ----------
    folder : str, Path or None
        Folder of the results. None keeps nothing.
    identity : str
        Text of everything that all results depend on, such as hashes of the models. Results of
        another identity are not used.
    """

    def __init__(self, folder: str | Path | None, identity: str):
        self.folder = None if folder is None else Path(folder)
        self.identity = identity

    def _path(self, name: str, identity: str) -> Path | None:
        digest = checkpoint.digest(json.dumps([self.identity, identity]))
        return self.folder / f"{name}-{digest}.json" if self.folder else None

    def load(self, name: str, identity: str = "") -> Any:
        """Return the result that an earlier attempt has kept.

        Parameters
        ----------
        name : str
            Name of the evaluation set.
        identity : str
            Text of everything else that the result depends on, such as a hash of the set.

        Returns
        -------
        object
            What `add` was given, or None if nothing is kept.
        """
        path = self._path(name, identity)
        if path is None or not path.exists():
            return None
        print(f"{name}: finished by an earlier attempt", flush=True)
        return json.loads(path.read_text(encoding="utf-8"))

    def add(self, name: str, result: Any, identity: str = "") -> None:
        """Keep the result of a set. An evaluation may be interrupted after this call at no cost.

        Parameters
        ----------
        name : str
            Name of the evaluation set.
        result : object
            Lists, dictionaries, numbers, texts and None.
        identity : str
            As for `load`.
        """
        if path := self._path(name, identity):
            with atomic_write(path) as (part,):
                part.write_text(json.dumps(result), encoding="utf-8")

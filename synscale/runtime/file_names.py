"""Properties of file names: files of the system, Unicode form, and split of a data set."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePath

# Written by Windows, macOS, a Synology server and ext4, in lower case.
CLUTTER = {"thumbs.db", "desktop.ini", "__macosx", "@eadir", "lost+found"}
# Words that Hugging Face `datasets` finds splits by, and their splits.
SPLITS = dict.fromkeys(("train", "training"), "train")
SPLITS |= dict.fromkeys(("test", "testing", "eval", "evaluation"), "test")
SPLITS |= dict.fromkeys(("validation", "valid", "val", "dev"), "validation")
SHARD = re.compile(r"(.+)-\d{5}-of-\d{5}")
SPLIT = re.compile(
    rf"(?<![a-z])({'|'.join(sorted(SPLITS, key=len, reverse=True))})(?![a-z])", re.IGNORECASE
)


def is_clutter(path: str | PurePath) -> bool:
    """Whether a path, relative to a data set, is hidden or a file of an operating system."""
    parts = PurePath(path).parts
    return any(part.lower() in CLUTTER or (part.startswith(".") and part != "..") for part in parts)


def nfc(name: str) -> str:
    """Return the composed form of a name: macOS stores "é" in file names as two characters."""
    return unicodedata.normalize("NFC", name)


def is_utf8(name: str) -> bool:
    """Whether a file name is UTF-8; Python has a surrogate for every byte that is not."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def split_of(path: str | PurePath) -> str | None:
    """Return the split that a relative path names.

    A word in the name of the file, or else of its folders, names train, validation or test. Any
    name before the number of a shard, as on the Hugging Face hub, is a split too.
    """
    matches = (SPLIT.search(part) for part in reversed(PurePath(path).parts))
    if word := next((match[0].lower() for match in matches if match), None):
        return SPLITS[word]
    shard = SHARD.match(PurePath(path).name)
    return shard[1] if shard and shard[1] != "data" else None


def splits(paths: Iterable[str | PurePath]) -> dict[str | None, list]:
    """Group relative paths by their split, in alphabetical order; None is last."""
    groups: dict[str | None, list] = {}
    for path in paths:
        groups.setdefault(split_of(path), []).append(path)
    return dict(sorted(groups.items(), key=lambda group: (group[0] is None, group[0] or "")))

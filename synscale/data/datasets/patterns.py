"""Patterns of tars: names with *, ? or [...], and braces as in a shell."""

import os
import re
from glob import glob, has_magic
from pathlib import Path

BRACES = re.compile(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}")


def is_pattern(place: str | Path) -> bool:
    """Return whether a path is a pattern of tars: a folder may have brackets or braces, too."""
    return bool(has_magic(str(place)) or BRACES.search(str(place))) and not os.path.isdir(place)


def expand_braces(text: str) -> list[str]:
    """Expand {a,b} and ranges such as {00000..00099}, as a shell and webdataset do."""
    match = BRACES.search(text)
    if not match:
        return [text]
    first, last, words = match.groups()
    if words is None:
        width = max(len(first), len(last)) if "0" in (first[0], last[0]) else 0
        step = 1 if int(first) <= int(last) else -1
        choices = [f"{number:0{width}d}" for number in range(int(first), int(last) + step, step)]
    else:
        choices = words.split(",")
    ends = expand_braces(text[match.end() :])
    return [f"{text[: match.start()]}{choice}{end}" for choice in choices for end in ends]


def matches(pattern: Path) -> tuple[list[Path], list[str]]:
    """Return the files of a pattern, sorted, and the names in its braces that do not exist."""
    names = [str(pattern)] if glob(str(pattern)) else expand_braces(str(pattern))
    folders: dict[str, set[str]] = {}  # each is listed once: there may be 40,000 names

    def files_of(name: str) -> list[str]:
        if has_magic(name):
            return glob(name)
        folder, file = os.path.split(name)
        if folder not in folders:
            folders[folder] = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        return [name] if file in folders[folder] else []

    files = {name: files_of(name) for name in names}
    paths = sorted({Path(path) for matched in files.values() for path in matched})
    return paths, [Path(name).name for name, matched in files.items() if not matched]

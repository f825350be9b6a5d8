"""Files of a released pipeline: which of them are used, their hashes, and what is known of those.

`data/sources.csv` holds what everyone is held to. Where it has no hash of a file, the first fetch
records one, in the same columns, and later fetches are held to that: a model cannot change under a
study in silence. Rows copied from the record to the table hold for everyone.
"""

import csv
import hashlib
import json
import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from synscale.runtime.atomic import atomic_write
from synscale.study import csv_tables

COLUMNS = ["id", "kind", "revision", "file", "sha256", "licence", "mirror", "note"]
RECORD = "sources.csv"  # inside a fetched folder
# Components of a pipeline that are not used, by what it is fetched for. Of two stages the first
# alone has a text encoder: both take its embeddings.
UNUSED = {"generator": {"safety_checker", "watermarker"}}
UNUSED["upscaler"] = UNUSED["generator"] | {"text_encoder", "tokenizer"}
CHECKER = {"safety_checker", "feature_extractor"}
WEIGHTS = re.compile(
    r"(diffusion_pytorch_|pytorch_)?model(?P<variant>\.\w+)?(-\d+-of-\d+)?(?P<old>\.\w+)?\.safetensors"
)

PART = re.compile(r"-\d+-of-(?P<of>\d+)\.")
WORDS = (
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    ".model",
)  # files of a tokenizer, one of which it has


class WeightsError(ValueError):
    """A file of a pipeline that is missing, damaged or not the one that is known."""


def components(index: dict) -> dict[str, list[str | None]]:
    """Return library and class of each component of a model_index.json.

    A component is a list of two texts or nulls. Other lists are settings of the pipeline.
    """
    return {
        name: value
        for name, value in index.items()
        if not name.startswith("_")
        and isinstance(value, list)
        and len(value) == 2
        and all(part is None or isinstance(part, str) for part in value)
    }


def used(index: dict, use: str) -> list[str]:
    """Components of the pipeline of a model_index.json that are used where it is fetched as a
    generator, an upscaler or a safety checker.
    """
    own = [name for name, (library, _) in components(index).items() if library]
    return [
        name
        for name in own
        if (name in CHECKER if use == "safety_checker" else name not in UNUSED[use])
    ]


def needed(
    files: Iterable[str], index: dict, variant: str | None, use: str = "generator"
) -> list[str]:
    """Which files of a model's repository its pipeline is loaded from; index: its model_index.json;
    use: as `used` takes it.

    Settings of every component and, of each, the weights of the variant, or the plain ones where it
    has none of that. Safetensors alone. Raises WeightsError where a component has its weights as
    pickle only, or where a file is missing that it cannot do without.
    """
    files = sorted(files)
    chosen, variants, has_variant = ["model_index.json"], set(), variant is None
    for name in used(index, use):
        own = [file for file in files if file.startswith(f"{name}/") and file.count("/") == 1]
        chosen += [file for file in own if file.endswith((".json", ".txt", ".model"))]
        stored = {file: WEIGHTS.fullmatch(file.split("/")[1]) for file in own}
        found = {file: match["variant"] or match["old"] for file, match in stored.items() if match}
        kept = [file for file, of in found.items() if of == f".{variant}"] if variant else []
        has_variant, variants = (
            has_variant or bool(kept),
            variants | set(filter(None, found.values())),
        )
        kept = kept or [file for file, of in found.items() if of is None]
        if not kept and any(file == f"{name}/config.json" for file in own):
            told = "no weights as safetensors (pickles can run any code and are not read)"
            raise WeightsError(
                f"{name}: {told}; name a revision or a mirror that has them, or a variant: {sorted(filter(None, set(found.values())))}"
            )
        _complete(
            name,
            index[name][1],
            [file.split("/")[1] for file in own],
            [file.split("/")[1] for file in kept],
        )
        chosen += kept
    if not has_variant:
        held = ", ".join(sorted(name.removeprefix(".") for name in variants)) or "none"
        message = f"no weights have it (found: {held}); remove the key or name one of these"
        raise WeightsError(f"variant = {variant!r}: {message}")
    return chosen


def _complete(name: str, kind: str, own: list[str], kept: list[str]) -> None:
    """Raise WeightsError where a component of this class and these files, whose weights are `kept`,
    cannot be loaded as it was saved.

    A tokenizer without its words can be: it reads every text as the same.
    """
    mend = "copy or fetch the model again"
    if not own:
        raise WeightsError(f"{name}: no file of it, though model_index.json names it: {mend}")
    if kept and "config.json" not in own:
        raise WeightsError(f"{name}/config.json: missing beside its weights: {mend}")
    if "Tokenizer" in kind and "ByT5" not in kind and not any(file.endswith(WORDS) for file in own):
        raise WeightsError(f"{name}: none of {', '.join(WORDS)}, which hold its words: {mend}")
    parts = [match for file in kept if (match := PART.search(file))]
    if parts and len(parts) != int(parts[0]["of"]):
        raise WeightsError(
            f"{name}: {len(parts)} of {int(parts[0]['of'])} files of its weights ({', '.join(kept)}): {mend}"
        )


def hashes(folder: str | Path, files: Iterable[str]) -> dict[str, str]:
    """sha256 of each file, in the order given."""
    found = {}
    for file in files:
        with (Path(folder) / file).open("rb") as stream:
            found[file] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def readable(folder: str | Path) -> None:
    """Raise WeightsError where a safetensors file or settings below `folder` are cut short or no
    such file.
    """
    from safetensors import SafetensorError, safe_open

    for file in sorted(Path(folder).rglob("*.json")):
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise WeightsError(
                f"{file} ({file.stat().st_size} bytes): no JSON; remove it and get it again ({error})"
            ) from None
    for file in sorted(Path(folder).rglob("*.safetensors")):
        try:
            with safe_open(file, "pt"):
                pass
        except SafetensorError as error:
            mend = "a file cut short or damaged; remove it and get it again"
            raise WeightsError(
                f"{file} ({file.stat().st_size} bytes): {mend} ({' '.join(str(error).split())})"
            ) from None


def rows(path: str | Path) -> list[dict]:
    """Rows of a table of sources; none where there is no such file."""
    return csv_tables.rows(path, *COLUMNS[:5]) if Path(path).is_file() else []


def write(path: str | Path, table: list[dict]) -> None:
    with atomic_write(path) as (part,), part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


def compare(found: dict[str, str], known: list[dict], where: str, mend: str) -> None:
    """Raise WeightsError, with a line for each file that is not as `known` says; where: what says
    so.
    """
    expected = {row["file"]: row["sha256"] for row in known if row["sha256"]}
    wrong = [
        f"{file}: sha256 is {sha256}, expected {expected[file]} ({where}): {mend}"
        for file, sha256 in found.items()
        if expected.get(file, sha256) != sha256
    ]
    if wrong:
        raise WeightsError("\n".join(wrong))


def as_fetched(folder: str | Path, found: dict[str, str]) -> None:
    """Raise WeightsError where a file of a fetched pipeline is not the one that was fetched.
    Pipelines trained here have no record.
    """
    record = Path(folder) / RECORD
    compare(found, rows(record), str(record), f"it changed since; remove {folder} and run again")


def index_of(folder: str | Path) -> dict:
    return json.loads((Path(folder) / "model_index.json").read_text(encoding="utf-8"))


class _Hearer(logging.Handler):
    """Hears diffusers and transformers tell that they drew numbers for weights which no file holds:
    they only warn of it.
    """

    def __init__(self):
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "newly initialized" in (told := record.getMessage()):
            self.heard.append(" ".join(re.sub(r"\x1b\[\d+m", "", told).split())[:500])


@contextmanager
def all_of_files() -> Iterator[None]:
    """Raise WeightsError where a model that is loaded meanwhile has weights that its files lack:
    they would be others in each job.
    """
    hearer, levels = (
        _Hearer(),
        {logger: logger.level for logger in map(logging.getLogger, ("diffusers", "transformers"))},
    )
    for logger in levels:
        logger.addHandler(hearer)
        logger.setLevel(
            min(logger.level, logging.WARNING)
        )  # also where TRANSFORMERS_VERBOSITY wants to hear of errors alone
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.removeHandler(hearer)
            logger.setLevel(level)
    if hearer.heard:
        raise WeightsError(
            f"its files lack weights that its settings ask for; copy or fetch the model again: {hearer.heard[0]}"
        )

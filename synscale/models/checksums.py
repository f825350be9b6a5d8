"""Files of a published pipeline: which of them are used, and their checksums.

`data/sources.csv` holds checksums that apply to everyone. If it has none of a file, the first fetch
records one, in the same columns, and later fetches are verified against it: a model cannot change
unnoticed. Rows copied from the record to the table apply to everyone.
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
# Components of a pipeline that are not used, by what it is fetched for. Only the first of two
# stages has a text encoder: both take its embeddings.
UNUSED = {"generator": {"safety_checker", "watermarker"}}
UNUSED["upscaler"] = UNUSED["generator"] | {"text_encoder", "tokenizer"}
CHECKER = {"safety_checker", "feature_extractor"}
WEIGHTS = re.compile(
    r"(diffusion_pytorch_|pytorch_)?model(?P<variant>\.\w+)?(-\d+-of-\d+)?(?P<old>\.\w+)?"
    r"\.safetensors"
)
PART = re.compile(r"-\d+-of-(?P<of>\d+)\.")
VOCABULARY = ("tokenizer.json", "vocab.json", "vocab.txt", ".model")  # a tokenizer has one of them
FETCH_AGAIN = "copy or fetch the model again"


class WeightsError(ValueError):
    """A file of a pipeline that is missing, damaged or not the known one."""


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


def used_components(index: dict, use: str) -> list[str]:
    """Return the components of a model_index.json that are used.

    Parameters
    ----------
    index : dict
        The model_index.json.
    use : {"generator", "upscaler", "safety_checker"}
    """
    names = [name for name, (library, _) in components(index).items() if library]
    if use == "safety_checker":
        return [name for name in names if name in CHECKER]
    return [name for name in names if name not in UNUSED[use]]


def pipeline_files(
    files: Iterable[str], index: dict, variant: str | None, use: str = "generator"
) -> list[str]:
    """Return the files of a repository that its pipeline is loaded from.

    These are the settings of every component and its weights as safetensors: of the variant, or the
    plain ones if the component has none of the variant.

    Parameters
    ----------
    files : iterable of str
        Every file of the repository.
    index : dict
        Its model_index.json.
    variant : str or None
    use : str
        As for `used_components`.

    Raises
    ------
    WeightsError
        If a component has its weights as pickle only, or if a necessary file is missing.
    """
    files = sorted(files)
    selected = ["model_index.json"]
    variants: set[str] = set()
    for name in used_components(index, use):
        names = [file.split("/")[1] for file in files if re.fullmatch(f"{name}/[^/]+", file)]
        weights = {file: match for file in names if (match := WEIGHTS.fullmatch(file))}
        variant_of = {file: match["variant"] or match["old"] for file, match in weights.items()}
        variants |= set(filter(None, variant_of.values()))
        loaded = [file for file in weights if variant and variant_of[file] == f".{variant}"]
        loaded = loaded or [file for file in weights if variant_of[file] is None]
        if not loaded and "config.json" in names:
            others = sorted(filter(None, set(variant_of.values())))
            reason = "no weights as safetensors (pickles can run any code and are not read)"
            fix = f"name a revision or a mirror that has them, or a variant: {others}"
            raise WeightsError(f"{name}: {reason}; {fix}")
        _check_complete(name, index[name][1], names, loaded)
        settings = [file for file in names if file.endswith((".json", ".txt", ".model"))]
        selected += [f"{name}/{file}" for file in settings + loaded]
    if variant and f".{variant}" not in variants:
        known = ", ".join(sorted(name.removeprefix(".") for name in variants)) or "none"
        message = f"no weights have it (found: {known}); remove the key or name one of these"
        raise WeightsError(f"variant = {variant!r}: {message}")
    return selected


def _check_complete(component: str, kind: str, files: list[str], weights: list[str]) -> None:
    """Raise WeightsError if a component of this class cannot be loaded as it was saved.

    A tokenizer can be loaded without its vocabulary: it reads every text as the same.
    """
    if not files:
        reason = "has no file, though model_index.json names it"
        raise WeightsError(f"{component}: {reason}; {FETCH_AGAIN}")
    if weights and "config.json" not in files:
        raise WeightsError(f"{component}/config.json: missing next to its weights; {FETCH_AGAIN}")
    is_tokenizer = "Tokenizer" in kind and "ByT5" not in kind
    if is_tokenizer and not any(file.endswith(VOCABULARY) for file in files):
        reason = f"none of {', '.join(VOCABULARY)}, which contain its vocabulary"
        raise WeightsError(f"{component}: {reason}; {FETCH_AGAIN}")
    parts = [match for file in weights if (match := PART.search(file))]
    if parts and len(parts) != int(parts[0]["of"]):
        reason = f"{len(parts)} of {int(parts[0]['of'])} files of its weights"
        raise WeightsError(f"{component}: {reason} ({', '.join(weights)}); {FETCH_AGAIN}")


def hashes(folder: str | Path, files: Iterable[str]) -> dict[str, str]:
    """Return the sha256 of each file of a folder, in the given order.

    Parameters
    ----------
    folder : str or Path
    files : iterable of str
        Paths in it.
    """
    sha256 = {}
    for file in files:
        with (Path(folder) / file).open("rb") as stream:
            sha256[file] = hashlib.file_digest(stream, "sha256").hexdigest()
    return sha256


def check_readable(folder: str | Path) -> None:
    """Raise WeightsError if a safetensors or JSON file below a folder is cut short or damaged."""
    from safetensors import SafetensorError, safe_open

    for file in sorted(Path(folder).rglob("*.json")):
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            where = f"{file} ({file.stat().st_size} bytes)"
            raise WeightsError(f"{where}: no JSON; remove it and get it again ({error})") from None
    for file in sorted(Path(folder).rglob("*.safetensors")):
        try:
            with safe_open(file, "pt"):
                pass
        except SafetensorError as error:
            where = f"{file} ({file.stat().st_size} bytes)"
            fix = "a file cut short or damaged; remove it and get it again"
            raise WeightsError(f"{where}: {fix} ({' '.join(str(error).split())})") from None


def rows(path: str | Path) -> list[dict]:
    """Return the rows of a table of sources; none if the file does not exist."""
    return csv_tables.rows(path, *COLUMNS[:5]) if Path(path).is_file() else []


def write(path: str | Path, table: list[dict]) -> None:
    """Write a table of sources.

    Parameters
    ----------
    path : str or Path
    table : list of dict
        Rows, columns of the table to values.
    """
    with atomic_write(path) as (part,), part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


def compare(sha256s: dict[str, str], known: list[dict], where: str, fix: str) -> None:
    """Raise WeightsError with a line for each file whose checksum is not the known one.

    Parameters
    ----------
    sha256s : dict of str to str
        File -> its sha256.
    known : list of dict
        Rows of a table of sources.
    where, fix : str
        Table of the known checksums, and what to do, for the message.
    """
    expected = {row["file"]: row["sha256"] for row in known if row["sha256"]}
    differences = [
        f"{file}: wrong sha256 ({sha256}, expected {expected[file]} of {where}); {fix}"
        for file, sha256 in sha256s.items()
        if expected.get(file, sha256) != sha256
    ]
    if differences:
        raise WeightsError("\n".join(differences))


def check_fetched(folder: str | Path, sha256s: dict[str, str]) -> None:
    """Raise WeightsError if a file of a fetched pipeline is not the fetched one.

    Pipelines trained by the workflow have no record.

    Parameters
    ----------
    folder : str or Path
        Folder of the pipeline.
    sha256s : dict of str to str
        sha256 of each of its files.

    Raises
    ------
    WeightsError
        If a file is not the fetched one.
    """
    record = Path(folder) / RECORD
    compare(sha256s, rows(record), str(record), f"it changed since; remove {folder} and run again")


def index_of(folder: str | Path) -> dict:
    """Return the model_index.json of a folder."""
    return json.loads((Path(folder) / "model_index.json").read_text(encoding="utf-8"))


class _InitializationWarnings(logging.Handler):
    """Collect warnings that weights are random because no file has them.

    Diffusers and transformers only warn of it.
    """

    def __init__(self):
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if "newly initialized" in message:
            plain = re.sub(r"\x1b\[\d+m", "", message)  # without colours
            self.messages.append(" ".join(plain.split())[:500])


@contextmanager
def require_all_weights() -> Iterator[None]:
    """Raise WeightsError if a model is loaded meanwhile whose files lack weights.

    Such weights would differ from job to job.
    """
    warnings = _InitializationWarnings()
    loggers = [logging.getLogger(name) for name in ("diffusers", "transformers")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(warnings)
        # Warnings are needed even if TRANSFORMERS_VERBOSITY asks for errors only.
        logger.setLevel(min(logger.level, logging.WARNING))
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(warnings)
            logger.setLevel(level)
    if warnings.messages:
        reason = "its files lack weights that its settings ask for"
        raise WeightsError(f"{reason}; {FETCH_AGAIN}: {warnings.messages[0]}")

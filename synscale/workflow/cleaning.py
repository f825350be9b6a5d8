"""Intermediate files of a finished study: what may be removed, and what stays.

Removed are image shards with their indexes, trained models and the states of trainings. Manifests
of shards, metrics, scores, laws, downloads and the shards that figures read stay, so figures and
tables can be drawn again. Snakemake creates no missing file that only finished jobs have read; if a
new job needs such a file, the jobs before it run again.
"""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from synscale.study.models import Study
from synscale.workflow.paths import image_files
from synscale.workflow.settings import figures
from synscale.workflow.settings.figures import names_of
from synscale.workflow.settings.provenance import provenance_settings

MODELS = ("generators", "classifiers", "clip")
KINDS = ("images", "models", "states")


class NotFinished(ValueError):
    """A study whose intermediate files are still needed."""


@dataclass(frozen=True)
class Removal:
    """Files and folders of one kind.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    paths : tuple of Path
    files : int
    size : int
        Bytes.
    """

    kind: str
    paths: tuple[Path, ...]
    files: int
    size: int

    def remove(self) -> None:
        """Remove the files and folders."""
        for path in self.paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def check_finished(study: Study, root: Path = Path()) -> None:
    """Raise NotFinished if a run is in progress, or a figure or table of the study is missing.

    Parameters
    ----------
    study : Study
    root : Path, optional
        Folder of the results.

    Raises
    ------
    NotFinished
        If a run is in progress, or a figure or table of the study is missing.
    """
    if locks := list((root / ".snakemake/locks").glob("*")):
        fix = "wait for its end; after a crash run snakemake --unlock"
        raise NotFinished(f"{locks[0].parent}: snakemake is running; {fix}")
    where = f"studies/{study.name}.yaml"
    results = [f"figures/{study.name}/{name}.pdf" for name in names_of(study.figures)]
    results += [f"tables/{study.name}/{name}.csv" for name in names_of(study.tables)]
    record = root / f"provenance/{study.name}.json"
    missing = [path for path in [*results, str(record)] if not (root / path).is_file()]
    run = f"run snakemake --config study={study.name} first"
    if missing:
        raise NotFinished(f"{where}: not finished (missing: {', '.join(missing[:3])}); {run}")
    digest = json.loads(record.read_text(encoding="utf-8"))["settings"]
    if digest != provenance_settings(study).digest():
        raise NotFinished(f"{where}: edited since its results were written; {run}")


def shards_of_figures(study: Study) -> set[str]:
    """Return the shards whose images figures show."""
    tars: list[str] = []
    if study.figures.samples:
        tars += figures.samples_tars(study) + figures.samples_of_real(study)
    if study.figures.per_class:
        tars += figures.per_class_tars(study)
    return set(tars)


def lent_shards(study: Study, studies: Iterable[Study]) -> set[str]:
    """Return the shards of a study that other studies use.

    Parameters
    ----------
    study : Study
    studies : iterable of Study
        All studies.
    """
    return {
        tar
        for other in studies
        for source, row in other.sources.items()
        if getattr(row, "images_of", None) == study.name
        for tar in image_files(other, source)
    }


def removals(study: Study, used_shards: set[str], root: Path = Path()) -> list[Removal]:
    """Return what may be removed of each kind, largest first.

    Parameters
    ----------
    study : Study
    used_shards : set of str
        Shards that stay, relative to `root`.
    root : Path
        Folder of results/ and .state/.
    """
    results = root / f"results/{study.name}"
    tars = [*results.glob("images/*/*.tar"), *results.glob("data/*/*.tar")]
    tars += results.glob("selected/*/*.tar")
    paths = {
        "images": [tar for tar in tars if str(tar.relative_to(root)) not in used_shards],
        "models": [results / name for name in MODELS],
        "states": [root / f".state/{study.name}"],
    }
    # A job that finds an index expects its shards to exist.
    paths["images"] += [results / "shard_index"]
    rows = [_removal(kind, [path for path in paths[kind] if path.exists()]) for kind in KINDS]
    return sorted(rows, key=lambda removal: -removal.size)


def _removal(kind: str, paths: list[Path]) -> Removal:
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
    sizes = [file.lstat().st_size for file in files if file.is_symlink() or file.is_file()]
    return Removal(kind, tuple(paths), len(sizes), sum(sizes))

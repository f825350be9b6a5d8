"""Indexes of shards that represent their shards in a plan.

For Snakemake a shard is a job, done or not, and the paper's study has 15,000 of them. With
`skip_finished_shards` in config.yaml, no rule writes an index that `finished_indexes` names: it is
an existing file, and the shards in it are in no plan.
"""

import re
from functools import cache
from pathlib import Path

from synscale.data.shards import manifest_path
from synscale.study.models import Study
from synscale.study.models.selection import SelectedSource
from synscale.workflow import prompt_inputs
from synscale.workflow.paths import (
    data_index,
    index_before,
    indexed_tars,
    pipeline_folder,
    prompts_file,
    selecting_model,
    unselected_tar,
)
from synscale.workflow.settings.shard_index import shard_index_settings
from synscale.workflow.shards import classes_file, is_prepared, shard_names, skipped_file, split_of


def unfinished(studies: dict[str, Study], skip: bool) -> str:
    """Return the pattern of the wildcard `study` of the rule that indexes shards.

    Parameters
    ----------
    studies : dict of str to Study
        The studies by name.
    skip : bool
        Whether the pattern excludes finished indexes, so that the rule does not write them.
    """
    pattern = f"({'|'.join(studies)})"
    finished = finished_indexes(studies) if skip else []
    return f"(?!({'|'.join(map(re.escape, finished))})$){pattern}" if finished else pattern


def finished_indexes(studies: dict[str, Study], root: Path = Path()) -> list[str]:
    """Return the indexes that are up to date, as {study}/shard_index/{source}/{last}.csv.

    Such an index is no older than its shards, none of which is missing, and than the files that
    these were generated from. Its shards are those that the study requests now, with the same
    settings, generator, prompts and data. The same holds for the index that it continues.

    Parameters
    ----------
    studies : dict of str to Study
        The studies by name.
    root : Path
        Folder of results/.
    """
    paths = []
    for name, study in studies.items():
        indexes = _Indexes(study, root)
        for source, row in study.sources.items():
            if row.kind == "mixture":
                continue
            requested = set(shard_names(study, source))
            folder = root / f"results/{name}/shard_index/{source}"
            existing = sorted(path.stem for path in folder.glob("*.csv"))
            paths += [
                f"{name}/shard_index/{source}/{last}.csv"
                for last in existing
                if last in requested and indexes.is_finished(source, last)
            ]
    return paths


class _Indexes:
    """The indexes of a study, with what is known of the files behind them."""

    def __init__(self, study: Study, root: Path):
        self.study = study
        self.root = root
        self.folders: dict[Path, dict[str, int]] = {}
        self.is_finished = cache(self._is_finished)
        self.source_time = cache(self._source_time)

    def _is_finished(self, source: str, last: str) -> bool:
        index = self.root / f"results/{self.study.name}/shard_index/{source}/{last}.csv"
        if not index.is_file():
            return False
        if _settings_digest(index) != shard_index_settings(self.study, source, last).digest():
            return False
        written = self.shard_time(index)
        tars = [self.root / tar for tar in indexed_tars(self.study, source, last)]
        if any(max(map(self.shard_time, (tar, manifest_path(tar)))) > written for tar in tars):
            return False
        files = _generated_from(self.study, source, [tar.stem for tar in tars])
        if any(self.source_time(file) > written for file in files):
            return False
        previous = index_before(self.study, source, last)
        return all(self.is_finished(source, Path(path).stem) for path in previous)

    def shard_time(self, path: Path) -> float:
        """Return when a file was changed; infinity if it is missing.

        A folder of thousands of shards is listed once.
        """
        if path.parent not in self.folders:
            files = path.parent.glob("[!.]*.*")
            self.folders[path.parent] = {file.name: file.stat().st_mtime_ns for file in files}
        return self.folders[path.parent].get(path.name, float("inf"))

    def _source_time(self, path: str) -> int:
        """Return when a file that shards are generated from was changed; 0 if it is missing.

        Snakemake generates no shard again for a missing input either.
        """
        file = self.root / path
        if file.is_dir():
            file /= ".snakemake_timestamp"
        return file.stat().st_mtime_ns if file.exists() else 0


def _generated_from(study: Study, source: str, shards: list[str]) -> list[str]:
    """Return the inputs of the jobs that generate these shards or write their prompts.

    Some belong to the user, and no digest covers their content.
    """
    row = study.sources[source]
    if isinstance(row, SelectedSource):
        tars = [unselected_tar(study, source, shard) for shard in shards]
        before = _generated_from(study, row.source, [Path(tar).stem for tar in tars])
        return [*before, *tars, selecting_model(study, source)]
    if is_prepared(row):
        split = split_of(study, source)
        tables = [classes_file(study, split), skipped_file(study, split)]
        return [*data_index(study, split), *filter(None, tables)]
    prompts = {prompts_file(study, source, shard) for shard in shards}
    files = [pipeline_folder(study, source), study.classes, *prompts]
    if study.recipes[row.recipe].kind != "pair_texts":
        files += prompt_inputs.known_texts(study, row.recipe)
    return files


def _settings_digest(index: Path) -> str:
    """Digest of the settings of the shards, in the last row of an index."""
    return index.read_text(encoding="utf-8").rstrip("\n").rpartition(",")[-1]

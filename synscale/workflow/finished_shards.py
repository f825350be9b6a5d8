"""Lists of shards that stand for their shards: what is listed there is made, and a plan need not
ask for it shard by shard.

For Snakemake a shard is a job, done or not, and the paper's study has 15,000 of them. With
`skip_finished_shards` in config.yaml, a list that `trusted` names is made by no rule: it is a file that is
there, and the shards behind it are in no plan.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace

from synscale.data.shards import manifest_path
from synscale.study.models import Study
from synscale.workflow import prompt_inputs
from synscale.workflow.paths import (
    data_index,
    index_before,
    indexed_tars,
    pipeline_folder,
    prompts_file,
)
from synscale.workflow.settings import digest
from synscale.workflow.settings.data import index_settings
from synscale.workflow.settings.shard_index import shard_index_settings
from synscale.workflow.shards import classes_file, is_real, shard_names, split_of


def trusted(studies: dict[str, Study], root: Path = Path()) -> list[str]:
    """Lists of these studies that were written after each of their shards, none of which is missing
    now, and after what the shards are made from; whose shards are those that the study asks for
    today, of the same settings, generator, prompts and data. So are the lists that they go on from.

    root: folder of results/. Each as {study}/shard_index/{source}/{last}.csv.
    """
    return [
        f"{name}/shard_index/{source}/{last}.csv"
        for name, study in studies.items()
        for source, last in _of(name, study, root)
    ]


def _of(name: str, study: Study, root: Path) -> Iterator[tuple[str, str]]:
    times: dict[Path, dict[str, int]] = {}

    @cache
    def source_changed(path: str) -> int:
        """When what shards are made from was changed last; long ago where it is gone, as for
        Snakemake, which makes nothing again for that.
        """
        own = root / path
        own = own / ".snakemake_timestamp" if own.is_dir() else own
        return own.stat().st_mtime_ns if own.exists() else 0

    def changed(path: Path) -> float:
        """When a file was changed last; never to come true of one that is missing. A folder of
        thousands of shards is looked through once.
        """
        if path.parent not in times:
            times[path.parent] = {
                own.name: own.stat().st_mtime_ns for own in path.parent.glob("[!.]*.*")
            }
        return times[path.parent].get(path.name, float("inf"))

    @cache
    def holds(source: str, last: str) -> bool:
        own = root / f"results/{name}/shard_index/{source}/{last}.csv"
        before = [Path(path).stem for path in index_before(study, source, last)]
        shards = [root / tar for tar in indexed_tars(study, source, last)]
        return (
            own.is_file()
            and _settings(own) == digest(shard_index_settings(study, source, last))
            and all(
                changed(path) <= changed(own)
                for tar in shards
                for path in (tar, manifest_path(tar))
            )
            and all(
                source_changed(path) <= changed(own)
                for path in _made_from(name, study, source, [tar.stem for tar in shards])
            )
            and all(holds(source, earlier) for earlier in before)
        )

    for source, row in study.sources.items():
        if row.kind != "mixture":
            asked = set(shard_names(study, source))
            for last in sorted(
                path.stem for path in (root / f"results/{name}/shard_index/{source}").glob("*.csv")
            ):
                if last in asked and holds(source, last):
                    yield source, last


def _made_from(name: str, study: Study, source: str, shards: list[str]) -> list[str]:
    """Inputs of the jobs that make these shards, and of those that make their prompts: some are the
    user's own files, which no setting tells of.
    """
    row = study.sources[source]
    if is_real(row):
        split = split_of(row)
        own = [
            classes_file(study, split),
            index_settings(study, split).skip if study.data.kind == "files" else None,
        ]
        return [*data_index(study, split), *filter(None, own)]
    prompts = {prompts_file(study, source, shard) for shard in shards}
    known = (
        []
        if study.recipes[row.recipe].kind == "pair_texts"
        else prompt_inputs.known(name, study, SimpleNamespace(recipe=row.recipe))
    )
    return [pipeline_folder(study, source), study.classes, *prompts, *known]


def _settings(path: Path) -> str:
    """What the last row of a list says of the settings of its shards."""
    return path.read_text(encoding="utf-8").rstrip("\n").rpartition(",")[-1]

"""Bundles of published results: what figures, tables and laws of a study are computed from.

`contents` reads from Snakemake's graph what belongs in a bundle: the results that cheap jobs read,
and the figures and tables as they are. Cheap jobs are those that list their code as inputs. `place`
puts the files of a bundle in the tree, and records the jobs behind them as done. Snakemake then
treats the study like one whose images and models were removed (synscale/workflow/cleaning.py).
"""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml
from snakemake import __version__ as snakemake_version

from synscale.data.shards import manifest_path
from synscale.runtime import origin
from synscale.runtime.archive import listed, sha256
from synscale.runtime.atomic import atomic_write, write_json
from synscale.study.load import load_study, read_yaml
from synscale.study.models import Study
from synscale.workflow import excerpts, published
from synscale.workflow.job_graph import graph_of
from synscale.workflow.settings import as_json
from synscale.workflow.shared_images import differences

FORMAT = 1
GENERATORS = ("train_generator", "finetune_generator")
WEIGHTS = ("generators", "generator_histories", "lora", "lora_histories")  # folders of outputs
TIMESTAMP = ".snakemake_timestamp"  # in an output that is a folder
CREATED = ("written", "commit", "machine")  # keys of an earlier bundle that a later one keeps


class BundleError(ValueError):
    """A bundle that cannot be created, or does not fit the tree."""


@dataclass(frozen=True)
class Contents:
    """What a bundle contains.

    Attributes
    ----------
    results : tuple of str
        Files in results/.
    shards : tuple of str
        Shards whose images figures show; a bundle has excerpts of them.
    pages : tuple of str
        The csv of figures and tables.
    missing : tuple of str
        Results, figures and tables that do not exist yet, or are out of date.
    """

    results: tuple[str, ...]
    shards: tuple[str, ...]
    pages: tuple[str, ...]
    missing: tuple[str, ...]


def contents(study: Study, generators: bool = False) -> Contents:
    """Return what a bundle of a study contains.

    Parameters
    ----------
    study : Study
    generators : bool
        Whether it contains the weights of the generators that the study trains.
    """
    earlier = _published_before(study, generators)
    with graph_of([], study=study.name, skip_finished_shards=False) as dag:
        waiting = set(dag.needrun_jobs(exclude_finished=False))
        producers = {str(file): job for job in dag.jobs for file in job.output}
        readers = [job for job in dag.jobs if job.input.get("code")]
        inputs = {str(file) for job in readers for file in job.input}
        pages = {str(file) for job in readers for file in job.output if file.endswith(".csv")}
    results, missing = set(earlier), set()
    tars = {path for path in inputs if path.endswith(".tar")}
    for file in sorted(path for path in inputs if path.startswith("results/")):
        job = producers.get(file)
        if job in waiting or not Path(file).is_file():
            missing.add(file)
        elif job is not None and file not in tars:
            results |= {str(output) for output in job.output if Path(output).is_file()}
    if generators:
        jobs = {job for job in producers.values() if job.rule.name in GENERATORS} - waiting
        results |= {file for job in jobs for output in job.output for file in _files(output)}
    missing |= {page for page in pages if producers[page] in waiting or not Path(page).is_file()}
    parts = (results, tars - missing, pages - missing, missing)
    return Contents(*(tuple(sorted(part)) for part in parts))


def _files(output: str) -> list[str]:
    """Return an output and, if it is a folder, the files in it instead."""
    path = Path(output)
    files = [path] if path.is_file() else path.rglob("*")
    return [str(file) for file in files if file.is_file() and file.name != TIMESTAMP]


def _published_before(study: Study, generators: bool) -> list[str]:
    """Return the files of an opened bundle that no rule creates; a new bundle has them too."""
    files = [file for file in read_record(study.name).get("files", {}) if _is_result(file)]
    results = set(published.current_results(_studies(files)))
    files = [file for file in files if published.result_of(file) in results]
    return [file for file in files if generators or file.split("/")[2] not in WEIGHTS]


def _is_result(file: str) -> bool:
    return file.startswith("results/") and "/published/" not in file


def _studies(files: Iterable[str]) -> dict[str, Study]:
    """Return the studies that results are of, by name; one may use the images of another."""
    names = {published.without_excerpt(file).split("/")[1] for file in files}
    paths = {name: Path(f"studies/{name}.yaml") for name in names}
    return {name: load_study(path) for name, path in paths.items() if path.is_file()}


def read_record(name: str) -> dict:
    """Return the record of the opened bundle of a study; empty if there is none."""
    path = Path(published.record_file(name))
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def published_name(study: str, page: str) -> str:
    """Return where the csv of a figure or table is, as it was published.

    Parameters
    ----------
    study : str
    page : str
        Path of the csv: `figures/{study}/{figure}.csv`.
    """
    folder, _, name = page.split("/")
    return f"results/{study}/published/{folder}/{name}"


def settings_of(study: Study) -> str:
    """Return a digest of every setting of a study that changes a result."""
    return sha256(as_json(study).encode())[:16]


def facts(study: Study, packed: Contents) -> dict:
    """Return the manifest of a bundle, other than its checksums.

    Parameters
    ----------
    study : Study
    packed : Contents
        What the bundle contains.
    """
    record = read_record(study.name)
    earlier = record.get("earlier", [])
    if record:
        earlier = [*earlier, {key: record[key] for key in CREATED}]
    newest = max(Path(file).stat().st_mtime for file in (*packed.results, *packed.pages))
    environments = sorted(Path("envs").glob("*.yaml"))
    return {
        "format": FORMAT,
        "study": study.name,
        "title": study.title,
        "settings": settings_of(study),
        "written": datetime.fromtimestamp(newest, UTC).isoformat(" ", "seconds"),
        "commit": origin.commit(),
        "machine": origin.machine(),
        "versions": {"snakemake": snakemake_version} | origin.versions(environments),
        "missing": list(packed.missing),
        "earlier": earlier,
    }


def files_of(study: Study, packed: Contents) -> dict[str, bytes]:
    """Return the files of a bundle: path in the bundle -> content.

    Parameters
    ----------
    study : Study
    packed : Contents
    """
    names = {file: file for file in (*packed.results, *published.class_tables(study))}
    names |= {published_name(study.name, page): page for page in packed.pages}
    names[f"studies/{study.name}.yaml"] = f"studies/{study.name}.yaml"
    files = {name: Path(file).read_bytes() for name, file in names.items()}
    with tempfile.TemporaryDirectory() as folder:
        for tar in packed.shards:
            is_excerpt = "/published/shards/" in tar
            name = tar if is_excerpt else published.excerpt(study.name, tar)
            path = Path(tar) if is_excerpt else excerpts.write(study, tar, Path(folder, "a.tar"))
            files[name] = path.read_bytes()
            files[str(manifest_path(name))] = manifest_path(path).read_bytes()
    return files


# -- open ------------------------------------------------------------------------------------------


def check(bundle: str, manifest: dict, files: dict[str, bytes]) -> None:
    """Raise BundleError if a bundle does not fit the present study or the files that exist.

    Parameters
    ----------
    bundle : str
        Its path, for messages.
    manifest : dict
    files : dict of str to bytes
        Path -> content.
    """
    if manifest.get("format") != FORMAT:
        versions = f"found {manifest.get('format')}, expected {FORMAT}"
        raise BundleError(f"{bundle}: another format of bundles ({versions}); update the workflow")
    study = f"studies/{manifest['study']}.yaml"
    if Path(study).is_file():
        _check_version(bundle, study, manifest, files[study])
    present = {
        name: sha256(Path(name).read_bytes())
        for name in files
        if name != study and "/published/" not in name and Path(name).is_file()
    }
    others = [name for name, digest in present.items() if digest != manifest["files"][name]]
    if others:
        fix = "move them away, or open the bundle in another copy of the workflow"
        lines = [
            f"{name} (found {present[name]}, expected {manifest['files'][name]})" for name in others
        ]
        raise BundleError(f"{bundle}: {len(others)} files exist and differ; {fix}:{listed(lines)}")


def _check_version(bundle: str, study: str, manifest: dict, text: bytes) -> None:
    settings = settings_of(load_study(study))
    if settings == manifest["settings"]:
        return
    changes = differences(read_yaml(study), yaml.safe_load(text))
    lines = [f"{key} (found {mine!r}, expected {theirs!r})" for key, mine, theirs in changes]
    lines = lines or [f"settings digest (found {settings}, expected {manifest['settings']})"]
    raise BundleError(
        f"{bundle}: of another version of {study}; check out commit {manifest['commit']}, or "
        f"restore the study with tar -xJf {bundle} {study}:{listed(lines)}"
    )


def place(manifest: dict, files: dict[str, bytes]) -> list[str]:
    """Write the files of a bundle and record the jobs behind them as done.

    Parameters
    ----------
    manifest : dict
    files : dict of str to bytes
        Path -> content. Call `check` first.

    Returns
    -------
    list of str
        Files that were written; the others existed.
    """
    study = f"studies/{manifest['study']}.yaml"
    new = [name for name in files if not published.is_same(name, manifest["files"][name])]
    new = [name for name in new if name != study or not Path(study).is_file()]
    # One time for all: no law is older than its metrics, nor than the code that fits it.
    now = time.time_ns()
    for name in new:
        with atomic_write(name) as (part,):
            part.write_bytes(files[name])
        os.utime(name, ns=(now, now))
    results = sorted({published.result_of(name) for name in files if _is_result(name)})
    for folder in filter(os.path.isdir, results):
        Path(folder, TIMESTAMP).touch()
    _record_jobs(manifest["study"], results)
    results += [name for name in files if "/published/shards/" in name and name.endswith(".tar")]
    studies = _studies(results)
    behind = {result: published.settings_behind(studies, result) for result in results}
    known = {result: settings for result, settings in behind.items() if settings}
    record = manifest | {"settings_behind": known}
    write_json(published.record_file(manifest["study"]), record)
    return new


def _record_jobs(study: str, results: Iterable[str]) -> None:
    """Record the jobs that create results, and those before them, as done with these settings.

    Otherwise Snakemake would not notice that an edit of the study makes them out of date. A job
    before them keeps its record if it has one.
    """
    with graph_of([], study=study, skip_finished_shards=False, published_results=False) as dag:
        names = set(results)
        last = [job for job in dag.jobs if not names.isdisjoint(map(str, job.output))]
        records = dag.workflow.persistence
        before = [job for job in dag.bfs(dag.dependencies, *last) if not records.has_metadata(job)]

        async def finish() -> None:
            for job in {*last, *before}:
                await records.finished(job)

        asyncio.run(finish())

"""Files of released pipelines, classifiers and language models, from the hub or from a folder, held
to the hashes that are known.

Of a folder, files are linked, not copied.
"""

import argparse
import shutil
from pathlib import Path

from synscale.models import checksums
from synscale.models.checksums import WeightsError
from synscale.runtime import cli
from synscale.runtime.atomic import apply_umask
from synscale.runtime.file_names import is_clutter

CLASSIFIER = ["config.json", "model.safetensors"]  # what timm reads of its models on the hub
# What transformers reads: no code, no other format of the same weights.
LANGUAGE = (".safetensors", ".json", ".txt", ".model")


def parser(description: str, *names: str) -> argparse.ArgumentParser:
    """The command line of every rule that fetches; names: as `command.parser` takes them."""
    found = cli.parser(description, *names)
    found.add_argument("--known", required=True, help="CSV of sources with hashes that are known")
    found.add_argument(
        "--record",
        required=True,
        help="CSV of hashes from the first fetch on; kept when the output is made again",
    )
    found.add_argument(
        "--output",
        required=True,
        help="folder of the model; the second stage of a pipeline is in a folder `upscaler` of it",
    )
    return found


def chosen_of(settings: dict, files: list[str], index: dict) -> list[str]:
    """Which of a repository's files are used. Raises WeightsError where its pipeline is none of the
    kind that is asked for.
    """
    model, use = settings["model"], settings["use"]
    if use == "upscaler" and index.get("_class_name") != "IFSuperResolutionPipeline":
        raise WeightsError(
            f"{model}: a {index.get('_class_name')}, no IFSuperResolutionPipeline, which an upscaler must be: name a second stage of DeepFloyd IF"
        )
    if (
        use == "safety_checker"
        and (index.get("safety_checker") or [None])[-1] != "StableDiffusionSafetyChecker"
    ):
        raise WeightsError(
            f"{model}: has no StableDiffusionSafetyChecker: name a pipeline that has one, such as Stable Diffusion 1.5"
        )
    if use != "safety_checker":
        from synscale.models import (
            pipeline_classes,  # here, for it imports torch, which other fetches do without
        )

        pipeline_classes.check(model, index, use)
    return checksums.needed(files, index, settings["variant"], use)


def classifier_of(settings: dict, files: list[str]) -> list[str]:
    """Files of a classifier of timm. Raises WeightsError where one is missing."""
    if missing := [file for file in CLASSIFIER if file not in files]:
        raise WeightsError(
            f"{settings['model']}: no {' and no '.join(missing)}; name a model that timm has saved for the hub, weights as safetensors"
        )
    return CLASSIFIER


def language_of(settings: dict, files: list[str]) -> list[str]:
    """Files of a language model of transformers. Raises WeightsError where it has no weights as
    safetensors, or no tokenizer.
    """
    chosen = [file for file in files if "/" not in file and file.endswith(LANGUAGE)]
    if not any(file.endswith(".safetensors") for file in chosen):
        raise WeightsError(
            f"{settings['model']}: no *.safetensors; name a revision that has them, or save the model by save_pretrained of transformers"
        )
    if "tokenizer.json" not in chosen:
        raise WeightsError(
            f"{settings['model']}: no tokenizer.json; save the tokenizer by save_pretrained of transformers and name the folder"
        )
    return chosen


SINGLE = {"classifier": classifier_of, "language": language_of}  # models that are no pipelines


def link(settings: dict, folder: Path) -> list[str]:
    """Link the files of a folder that its model is loaded from into `folder`; return their names."""
    source = Path(settings["model"])
    names = [str(file.relative_to(source)) for file in source.rglob("*") if file.is_file()]
    files = [name for name in names if not is_clutter(name)]
    single = SINGLE.get(settings["use"])
    chosen = (
        single(settings, files)
        if single
        else chosen_of(settings, files, checksums.index_of(source))
    )
    for file in chosen:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).unlink(missing_ok=True)
        (folder / file).symlink_to((source / file).resolve())
    return chosen


def download(settings: dict, folder: Path) -> list[str]:
    """Download the files that a model of the hub is loaded from into `folder`; return their names.
    Goes on where it was cut off.
    """
    import huggingface_hub

    model, revision = settings["model"], settings["revision"]
    files = huggingface_hub.HfApi().list_repo_files(model, revision=revision)
    if settings["use"] in SINGLE:
        chosen = SINGLE[settings["use"]](settings, files)
    elif "model_index.json" not in files:
        raise WeightsError(
            f"{model} at {revision}: no model_index.json, so no pipeline of diffusers; name a mirror that is one"
        )
    else:
        huggingface_hub.hf_hub_download(
            model, "model_index.json", revision=revision, local_dir=folder
        )
        chosen = chosen_of(settings, files, checksums.index_of(folder))
    huggingface_hub.snapshot_download(
        model, revision=revision, local_dir=folder, allow_patterns=chosen
    )
    return chosen


def get(settings: dict, folder: Path) -> list[str]:
    """Names of the files that `folder` holds now. Raises WeightsError, with a mend, where the model
    cannot be had.
    """
    from huggingface_hub import errors

    model = settings["model"]
    if model.startswith(("/", ".")):
        return link(settings, folder)
    offline = "take a machine with network, or copy its folder here and name that as `model`"
    try:
        return download(settings, folder)
    except errors.GatedRepoError:
        raise WeightsError(
            f"{model}: its licence must be accepted on the model's page, and HF_TOKEN must hold a token of that account"
        ) from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise WeightsError(
            f"{model} at {settings['revision']}: not on the hub; mend model and revision ({_short(error)})"
        ) from None
    except (errors.HTTPError, OSError) as error:
        raise WeightsError(f"{model}: cannot be had; {offline} ({_short(error)})") from None


def _short(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def verify(settings: dict, folder: Path, files: list[str], known: str, record: str) -> list[dict]:
    """Hold the files to what the tables `known` and `record` say of this model and revision; rows
    of all that is now known of them.
    """
    checksums.readable(folder)
    found, revision = checksums.hashes(folder, files), settings["revision"] or ""
    anew = "changed or damaged on its way: fetch it again"
    told = {}
    for path, mend in {
        known: f"{anew}, or mend the table",
        record: f"{anew}; if the change is meant, remove {record}",
    }.items():
        own = [row for row in checksums.rows(path) if row["id"] == settings["model"]]
        checksums.compare(found, [row for row in own if row["revision"] == revision], path, mend)
        told = told or next(({key: row[key] for key in ("licence", "mirror")} for row in own), {})
    same = {"id": settings["model"], "kind": settings["use"], "revision": revision} | told
    return [{**same, "file": file, "sha256": sha256} for file, sha256 in found.items()]


def keep(folder: Path, files: list[str]) -> None:
    """Remove all but these from a folder, such as what an earlier try with other settings left."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif str(path.relative_to(folder)) not in files:
            path.unlink()


def fetch(name: str, stages: dict[str, dict], known: str, record: str, output: str) -> None:
    """Fetch pipelines into the folder `output`, whole or not at all.

    stages: place inside the folder ("" for the folder itself) -> model, revision, variant, and what
    it is used as (`use`). known, record: tables of hashes that hold for everyone, and from the
    first fetch on.
    """
    part = Path(f"{output}.part")
    if any(
        path.is_symlink() for path in part.rglob("*")
    ):  # left by a try that was killed: a download must not write through a link
        shutil.rmtree(part)
    part.mkdir(parents=True, exist_ok=True)
    try:
        files = {place: get(settings, part / place) for place, settings in stages.items()}
        keep(part, [str(Path(place) / file) for place, own in files.items() for file in own])
        try:
            tables = {
                place: verify(settings, part / place, files[place], known, record)
                for place, settings in stages.items()
            }
        except WeightsError:
            shutil.rmtree(part)  # a download goes on from what is there, but not from a wrong file
            raise
    except WeightsError as error:
        raise SystemExit(f"{name}: {error}") from None
    checksums.write(
        part / checksums.RECORD,
        [
            row | {"file": str(Path(place) / row["file"])}
            for place, own in tables.items()
            for row in own
        ],
    )
    table = [row for own in tables.values() for row in own]
    mine = {(row["id"], row["revision"], row["file"]) for row in table}
    checksums.write(
        record,
        [
            row
            for row in checksums.rows(record)
            if (row["id"], row["revision"], row["file"]) not in mine
        ]
        + table,
    )
    apply_umask(part)
    shutil.rmtree(output, ignore_errors=True)  # Snakemake makes the folder of a directory output
    part.rename(output)
    for place, own in tables.items():
        licence = own[0].get("licence") or "not known here: read it before use"
        print(f"{stages[place]['model']}: {len(own)} files, licence {licence}; hashes in {record}")

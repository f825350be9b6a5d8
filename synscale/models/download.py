"""Files of published pipelines, classifiers and language models, from the hub or from a folder.

They are verified against the known checksums. Files of a folder are linked, not copied. Only this
module uses the network; it runs where Snakemake runs.
"""

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path

from synscale.models import checksums
from synscale.models.checksums import WeightsError
from synscale.runtime import cli
from synscale.runtime.atomic import apply_umask
from synscale.runtime.file_names import is_clutter
from synscale.workflow.settings.generation import HubWeights

CLASSIFIER = ["config.json", "model.safetensors"]  # what timm reads of its models on the hub
# What open_clip reads of its models on the hub, apart from the tokenizer.
OPEN_CLIP = ["open_clip_config.json", "open_clip_model.safetensors"]
# Use of a single model -> library that saved it, and its files.
SAVED_BY = {"classifier": ("timm", CLASSIFIER), "open_clip": ("open_clip", OPEN_CLIP)}
# What transformers reads: no code, no other format of the same weights.
LANGUAGE = (".safetensors", ".json", ".txt", ".model")


def run(
    description: str,
    wildcards: tuple[str, ...],
    arguments: list[str] | None,
    settings_of: Callable[..., HubWeights],
    name: str,
) -> tuple[argparse.Namespace, HubWeights]:
    """Fetch the weights that the command line of a fetch rule names.

    Parameters
    ----------
    description : str
        Help text of the command.
    wildcards : tuple of str
        Wildcards of the rule that name the model in the study.
    arguments : list of str or None
        Command line; that of the process by default.
    settings_of : callable
        Returns the weights, given the study and the wildcards.
    name : str
        Where the study names the model, for messages; may contain wildcards in braces.

    Returns
    -------
    tuple of Namespace and HubWeights
    """
    parser = cli.parser(description, *wildcards)
    parser.add_argument("--known", required=True, help="CSV of sources with known checksums")
    record_help = "CSV of checksums from the first fetch on; kept if the output is removed"
    parser.add_argument("--record", required=True, help=record_help)
    output_help = "folder of the model; the second stage of a pipeline is in its folder `upscaler`"
    parser.add_argument("--output", required=True, help=output_help)
    args, weights = cli.parse(parser, arguments, settings_of)
    try:
        fetch(weights, args.known, args.record, args.output)
    except WeightsError as error:
        raise SystemExit(f"{name.format(**vars(args))}: {error}") from None
    return args, weights


def _selected_pipeline_files(weights: HubWeights, files: list[str], index: dict) -> list[str]:
    """Return the used files of the repository of a pipeline.

    Raise WeightsError if the pipeline is not of the requested kind.
    """
    model, use = weights.model, weights.use
    kind = index.get("_class_name")
    if use == "upscaler" and kind != "IFSuperResolutionPipeline":
        problem = f"no upscaler ({kind}, expected IFSuperResolutionPipeline)"
        raise WeightsError(f"{model}: {problem}; name a second stage of DeepFloyd IF")
    if use == "safety_checker":
        checker = (index.get("safety_checker") or [None])[-1]
        if checker != "StableDiffusionSafetyChecker":
            fix = "name a pipeline that has one, such as Stable Diffusion 1.5"
            raise WeightsError(f"{model}: has no StableDiffusionSafetyChecker; {fix}")
    else:
        from synscale.models import pipeline_classes  # imports diffusers, which is slow

        pipeline_classes.check(model, index, use)
    return checksums.pipeline_files(files, index, weights.variant, use)


def _selected_files(weights: HubWeights, files: list[str]) -> list[str] | None:
    """Return the used files of the repository of a single model; None for a pipeline.

    Raise WeightsError if a file is missing.
    """
    model = weights.model
    if weights.use == "lora":
        if weights.file in files:
            return [weights.file]
        known = ", ".join(file for file in files if file.endswith(".safetensors")) or "none"
        fix = f"name one of its files as `file` (found: {known})"
        raise WeightsError(f"{model}: no {weights.file}; {fix}")
    if weights.use in SAVED_BY:
        library, needed = SAVED_BY[weights.use]
        if missing := [file for file in needed if file not in files]:
            fix = f"name a model that {library} has saved for the hub, weights as safetensors"
            raise WeightsError(f"{model}: no {' and no '.join(missing)}; {fix}")
        return needed
    if weights.use != "language":
        return None
    selected = [file for file in files if "/" not in file and file.endswith(LANGUAGE)]
    saved = "by save_pretrained of transformers"
    if not any(file.endswith(".safetensors") for file in selected):
        fix = f"name a revision that has them, or save the model {saved}"
        raise WeightsError(f"{model}: no *.safetensors; {fix}")
    if "tokenizer.json" not in selected:
        fix = f"save the tokenizer {saved} and name the folder"
        raise WeightsError(f"{model}: no tokenizer.json; {fix}")
    return selected


def link(weights: HubWeights, folder: Path) -> list[str]:
    """Link the files that a model in a folder is loaded from into `folder`; return their names.

    Parameters
    ----------
    weights : HubWeights
        Model and folder of its files.
    folder : Path
        Where the links are created.
    """
    source = Path(weights.model)
    names = [str(file.relative_to(source)) for file in source.rglob("*") if file.is_file()]
    files = [name for name in names if not is_clutter(name)]
    selected = _selected_files(weights, files)
    if selected is None:
        selected = _selected_pipeline_files(weights, files, checksums.index_of(source))
    for file in selected:
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.symlink_to((source / file).resolve())
    return selected


def download(weights: HubWeights, folder: Path) -> list[str]:
    """Download the files that a model of the hub is loaded from; return their names.

    A download that was interrupted is resumed. Parameters as of `link`.
    """
    import huggingface_hub

    model, revision = weights.model, weights.revision
    files = huggingface_hub.HfApi().list_repo_files(model, revision=revision)
    selected = _selected_files(weights, files)
    if selected is None:
        index = "model_index.json"
        if index not in files:
            reason = f"no {index}, so no pipeline of diffusers"
            raise WeightsError(f"{model} at {revision}: {reason}; name a mirror that is one")
        huggingface_hub.hf_hub_download(model, index, revision=revision, local_dir=folder)
        selected = _selected_pipeline_files(weights, files, checksums.index_of(folder))
    huggingface_hub.snapshot_download(
        model, revision=revision, local_dir=folder, allow_patterns=selected
    )
    return selected


def get(weights: HubWeights, folder: Path) -> list[str]:
    """Link or download a model into `folder`; return the names of its files.

    Parameters
    ----------
    weights : HubWeights
        Model, of the hub or in a folder.
    folder : Path
        Where its files are written.

    Raises
    ------
    WeightsError
        If the model is not available; the message names what to do.
    """
    from huggingface_hub import errors

    model = weights.model
    if weights.is_folder:
        return link(weights, folder)
    try:
        return download(weights, folder)
    except errors.GatedRepoError:
        reason = "its licence must be accepted on the model's page"
        fix = "accept it, and set HF_TOKEN to a token of that account"
        raise WeightsError(f"{model}: {reason}; {fix}") from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        where = f"{model} at {weights.revision}"
        fix = "correct model and revision"
        raise WeightsError(f"{where}: not on the hub; {fix} ({_summary(error)})") from None
    except (errors.HTTPError, OSError) as error:
        fix = "use a machine with network, or copy its folder here and name that as `model`"
        raise WeightsError(f"{model}: not available; {fix} ({_summary(error)})") from None


def _summary(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _verify(
    weights: HubWeights, folder: Path, files: list[str], known: str, record: str
) -> list[dict]:
    """Verify files against the tables `known` and `record`; return a table row for each file."""
    checksums.check_readable(folder)
    sha256s = checksums.hashes(folder, files)
    revision = weights.revision or ""
    reason = "changed or damaged during the download; fetch it again"
    fixes = {
        known: f"{reason}, or correct the table",
        record: f"{reason}; if the change is meant, remove {record}",
    }
    facts: dict[str, str] = {}
    for path, fix in fixes.items():
        model_rows = [row for row in checksums.rows(path) if row["id"] == weights.model]
        same_revision = [row for row in model_rows if row["revision"] == revision]
        checksums.compare(sha256s, same_revision, path, fix)
        if model_rows and not facts:
            facts = {key: model_rows[0][key] for key in ("licence", "mirror")}
    columns = {"id": weights.model, "kind": weights.use, "revision": revision} | facts
    return [columns | {"file": file, "sha256": sha256} for file, sha256 in sha256s.items()]


def _remove_others(folder: Path, files: list[str]) -> None:
    """Remove all other files, such as those of an earlier attempt with other settings."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif str(path.relative_to(folder)) not in files:
            path.unlink()


def _key(row: dict) -> tuple[str, str, str]:
    return row["id"], row["revision"], row["file"]


def _get_verified(
    stages: dict[str, HubWeights], part: Path, known: str, record: str
) -> dict[str, list[dict]]:
    """Return a table row for each file of each stage."""
    files = {place: get(weights, part / place) for place, weights in stages.items()}
    names = [str(Path(place) / file) for place, stage in files.items() for file in stage]
    _remove_others(part, names)
    try:
        return {
            place: _verify(weights, part / place, files[place], known, record)
            for place, weights in stages.items()
        }
    except WeightsError:
        shutil.rmtree(part)  # a download resumes from complete files, but not from a wrong one
        raise


def fetch(weights: HubWeights, known: str, record: str, output: str) -> None:
    """Fetch a model, its second stage and LoRA weights if it has some, completely or not at all.

    Parameters
    ----------
    weights : HubWeights
    known : str
        Table of checksums that apply to everyone.
    record : str
        Table of checksums from the first fetch on.
    output : str
        Folder of the model; its second stage is in the folder `upscaler` inside, LoRA weights are
        in `lora`.

    Raises
    ------
    WeightsError
        If the model is not available, incomplete, or not the known one.
    """
    others = {"upscaler": weights.upscaler, "lora": weights.lora}
    stages = {"": weights} | {place: stage for place, stage in others.items() if stage}
    part = Path(f"{output}.part")
    if any(path.is_symlink() for path in part.rglob("*")):
        shutil.rmtree(part)  # left by an interruption; a download must not write through a link
    part.mkdir(parents=True, exist_ok=True)
    tables = _get_verified(stages, part, known, record)
    rows = [(place, row) for place, stage in tables.items() for row in stage]
    table = [row for _, row in rows]
    inside = [row | {"file": str(Path(place) / row["file"])} for place, row in rows]
    checksums.write(part / checksums.RECORD, inside)
    replaced = {_key(row) for row in table}
    unchanged = [row for row in checksums.rows(record) if _key(row) not in replaced]
    checksums.write(record, unchanged + table)
    apply_umask(part)
    shutil.rmtree(output, ignore_errors=True)  # Snakemake creates the folder of a directory output
    part.rename(output)
    for place, stage in tables.items():
        licence = stage[0].get("licence") or "not known here: read it before use"
        model = stages[place].model
        print(f"{model}: {len(stage)} files, licence {licence}; checksums in {record}")

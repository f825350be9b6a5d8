"""Fetch the weights of a released text-to-image model, from the hub or from a folder, and hold them to the hashes that are known.

The only step that may use the network: it runs where Snakemake does. Of a folder, files are linked, not copied.
"""

import shutil
from pathlib import Path

from scripts.lib import command, jobs, weights
from scripts.lib.weights import WeightsError


def link(source: Path, folder: Path, variant: str | None) -> list[str]:
    """Link the files that the pipeline at `source` is loaded from into `folder`; return their names."""
    files = [str(file.relative_to(source)) for file in source.rglob("*") if file.is_file()]
    chosen = weights.needed(files, weights.index_of(source), variant)
    weights.tokenizers_are_readable(chosen)
    for file in chosen:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).unlink(missing_ok=True)
        (folder / file).symlink_to((source / file).resolve())
    return chosen


def download(model: str, revision: str, folder: Path, variant: str | None) -> list[str]:
    """Download the files that a model of the hub is loaded from into `folder`; return their names. Goes on where it was cut off."""
    import huggingface_hub

    files = huggingface_hub.HfApi().list_repo_files(model, revision=revision)
    if "model_index.json" not in files:
        raise WeightsError(f"{model} at {revision}: no model_index.json, so no pipeline of diffusers; name a mirror that is one")
    huggingface_hub.hf_hub_download(model, "model_index.json", revision=revision, local_dir=folder)
    chosen = weights.needed(files, weights.index_of(folder), variant)
    weights.tokenizers_are_readable(chosen)
    huggingface_hub.snapshot_download(model, revision=revision, local_dir=folder, allow_patterns=chosen)
    return chosen


def get(settings: dict, folder: Path) -> list[str]:
    """Names of the files that `folder` holds now. Raises WeightsError, with a mend, where the model cannot be had."""
    from huggingface_hub import errors

    model = settings["model"]
    if model.startswith(("/", ".")):
        return link(Path(model), folder, settings["variant"])
    offline = "take a machine with network, or copy its folder here and name that as `model`"
    try:
        return download(model, settings["revision"], folder, settings["variant"])
    except errors.GatedRepoError:
        raise WeightsError(f"{model}: its licence must be accepted on the model's page, and HF_TOKEN must hold a token of that account") from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise WeightsError(f"{model} at {settings['revision']}: not on the hub; mend model and revision ({_short(error)})") from None
    except (errors.HTTPError, OSError) as error:
        raise WeightsError(f"{model}: cannot be had; {offline} ({_short(error)})") from None


def _short(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def verify(settings: dict, folder: Path, files: list[str], known: str, record: str) -> list[dict]:
    """Hold the files to what the tables `known` and `record` say of this model and revision; rows of all that is now known of them."""
    weights.readable(folder)
    found, revision = weights.hashes(folder, files), settings["revision"] or ""
    anew = "changed or damaged on its way: fetch it again"
    told = {}
    for path, mend in {known: f"{anew}, or mend the table", record: f"{anew}; if the change is meant, remove {record}"}.items():
        own = [row for row in weights.rows(path) if row["id"] == settings["model"]]
        weights.compare(found, [row for row in own if row["revision"] == revision], path, mend)
        told = told or next(({key: row[key] for key in ("licence", "mirror")} for row in own), {})
    same = {"id": settings["model"], "kind": "generator", "revision": revision} | told
    return [{**same, "file": file, "sha256": sha256} for file, sha256 in found.items()]


def keep(folder: Path, files: list[str]) -> None:
    """Remove all but these from a folder, such as what an earlier try with other settings left."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif str(path.relative_to(folder)) not in files:
            path.unlink()


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "generator")
    parser.add_argument("--known", required=True, help="CSV of sources with hashes that are known")
    parser.add_argument("--record", required=True, help="CSV of hashes from the first fetch on; kept when the output is made again")
    parser.add_argument("--output", required=True, help="folder of the pipeline")
    args, settings = command.parse(parser, arguments, jobs.fetch_settings)

    part = Path(f"{args.output}.part")
    if any(path.is_symlink() for path in part.rglob("*")):  # left by a try that was killed: a download must not write through a link
        shutil.rmtree(part)
    part.mkdir(parents=True, exist_ok=True)
    try:
        files = get(settings, part)
        keep(part, files)
        try:
            table = verify(settings, part, files, args.known, args.record)
        except WeightsError:
            shutil.rmtree(part)  # a download goes on from what is there, but not from a wrong file
            raise
    except WeightsError as error:
        raise SystemExit(f"{args.generator}: {error}") from None
    weights.write(part / weights.RECORD, table)
    own = {(row["id"], row["revision"], row["file"]) for row in table}
    weights.write(args.record, [row for row in weights.rows(args.record) if (row["id"], row["revision"], row["file"]) not in own] + table)
    shutil.rmtree(args.output, ignore_errors=True)  # Snakemake makes the folder of a directory output
    part.rename(args.output)
    print(f"{settings['model']}: {len(files)} files, licence {table[0].get('licence') or 'not known here: read it before use'}; hashes in {args.record}")


if __name__ == "__main__":
    main()

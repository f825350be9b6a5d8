"""The model of a prompt recipe as a folder that transformers reads: fetched from the hub at its revision, or linked from the user's folder.

Weights as safetensors alone: other formats run code when they are read.
"""

import shutil
from pathlib import Path

from scripts.lib import command, jobs

# No code, no other format of the same weights.
FILES = ["*.safetensors", "*.json", "*.txt", "*.model"]


def fetch(settings: dict, folder: Path) -> None:
    """Files of a model of the hub, into `folder`; what an earlier try has left there is not fetched again."""
    from huggingface_hub import snapshot_download

    snapshot_download(settings["model"], revision=settings["revision"], allow_patterns=FILES, local_dir=folder)
    shutil.rmtree(folder / ".cache", ignore_errors=True)


def link(settings: dict, folder: Path) -> None:
    """Links to the files of the user's folder, each alone: Snakemake leaves a mark in what a rule has made."""
    shutil.rmtree(folder, ignore_errors=True)  # of a try that was killed
    folder.mkdir(parents=True)
    for path in sorted({path for pattern in FILES for path in Path(settings["model"]).glob(pattern)}):
        (folder / path.name).symlink_to(path.resolve())


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "recipe")
    parser.add_argument("--output", required=True, help="folder of the model")
    args, settings = command.parse(parser, arguments, jobs.model_settings)

    output = Path(args.output)
    part = output.with_name(f".{output.name}.{jobs.digest(settings)}.part")
    (fetch if settings["revision"] else link)(settings, part)
    for pattern, mend in (
        ("*.safetensors", "name a revision that has them, or save the model by save_pretrained of transformers and name the folder"),
        ("tokenizer.json", "save the tokenizer by save_pretrained of transformers and name the folder"),
    ):
        if not any(part.glob(pattern)):
            raise SystemExit(f"recipe {args.recipe!r}: model {settings['model']!r} has no {pattern}: {mend}")
    shutil.rmtree(output, ignore_errors=True)  # Snakemake makes the folder of a directory output
    part.rename(output)


if __name__ == "__main__":
    main()

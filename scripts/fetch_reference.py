"""Fetch the released classifier that makes the scores. Runs where Snakemake does."""

import json
import shutil
from pathlib import Path

from scripts.lib import class_table, command, fetching, jobs, study_file


def main(arguments: list[str] | None = None) -> None:
    args, settings = command.parse(fetching.parser(__doc__), arguments, jobs.reference_settings)
    fetching.fetch("scores.reference", {"": settings | {"use": "classifier"}}, args.known, args.record, args.output)
    told = json.loads((Path(args.output) / "config.json").read_text(encoding="utf-8")).get("num_classes")
    classes = study_file.load(args.study).classes
    if told not in (None, count := len(class_table.read(classes))):
        shutil.rmtree(args.output)
        mend = f"it tells {told} classes apart, and {classes} has {count}: name one that is trained on the study's classes"
        raise SystemExit(f"scores.reference.model = {settings['model']!r}: {mend}")


if __name__ == "__main__":
    main()

"""Publish the results of a study as one small file, or open such a file.

`create` packs what figures and tables are computed from. `open` puts it in place: Snakemake then
draws every figure and table without images, models or a GPU. `compare` compares them with those
that were published. docs/guides/published_results.md is the guide.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import pandas as pd

from synscale.runtime import archive
from synscale.runtime.archive import ArchiveError, compressed, listed
from synscale.study.load import StudyError, load_study
from synscale.workflow import bundles
from synscale.workflow.bundles import BundleError

FOLDER = "studies/published"
WEIGHTS_MB = 2.0


def size_text(count: int) -> str:
    """Return a number of bytes in MB."""
    return f"{count / 1e6:,.2f} MB"


def create(args: argparse.Namespace) -> None:
    """Create a bundle and print the size of each part."""
    name = args.study
    study = load_study(f"studies/{name}.yaml")
    packed = bundles.contents(study, generators=args.weights is not None)
    if packed.missing and not args.partial:
        fix = f"run snakemake --config study={name} first, or add --partial"
        count = f"{len(packed.missing):,} results are missing or out of date"
        lines = listed(list(packed.missing))
        raise BundleError(f"studies/{name}.yaml: not finished ({count}); {fix}:{lines}")
    if not packed.results:
        raise BundleError(f"studies/{name}.yaml: no results yet; run snakemake first")
    files = bundles.files_of(study, packed)
    parts: dict[str, dict[str, bytes]] = defaultdict(dict)
    for file, content in files.items():
        folders = file.split("/")
        parts[folders[2] if folders[0] == "results" else folders[0]][file] = content
    weights = sum(map(len, parts["generators"].values())) / 1e6
    if args.weights is not None and weights > args.weights:
        size = f"{weights:.1f} MB, expected at most {args.weights:g}"
        fix = f"leave --weights out, or give a limit: --weights {weights + 0.1:.1f}"
        raise BundleError(f"results/{name}/generators: too large ({size}); {fix}")
    output = args.output or Path(FOLDER, f"{name}.tar.xz")
    archive.write(output, files, bundles.facts(study, packed))
    for part, content in sorted(parts.items()):
        if content:
            total = b"".join(content[file] for file in sorted(content))
            sizes = f"{size_text(len(total)):>10} {size_text(len(compressed(total))):>10}"
            print(f"{part:<20} {len(content):>6,} files {sizes} compressed")
    print(f"{output}: {size_text(Path(output).stat().st_size)}")
    if packed.missing:
        print(f"partial: {len(packed.missing):,} results are missing{listed(list(packed.missing))}")


def open_bundle(args: argparse.Namespace) -> None:
    """Put the files of a bundle in place."""
    manifest, files = archive.read(args.file)
    bundles.check(str(args.file), manifest, files)
    new = bundles.place(manifest, files)
    name = manifest["study"]
    cpu = manifest["machine"]["cpu"]
    print(
        f"{manifest['title']}: results of {manifest['written']}, commit {manifest['commit']}, {cpu}"
    )
    print(f"{len(new):,} files written, {len(files) - len(new):,} existed")
    if manifest["missing"]:
        print(f"{len(manifest['missing']):,} results are missing and will be computed")
    print(f"next: snakemake --config study={name}, then python -m scripts.bundle compare {name}")


def compare(args: argparse.Namespace) -> None:
    """Compare figures and tables with those that were published."""
    name = args.study
    folder = Path(f"results/{name}/published")
    files = sorted(path for kind in ("figures", "tables") for path in (folder / kind).glob("*.csv"))
    if not files:
        fix = "run python -m scripts.bundle open FILE first"
        raise BundleError(f"{folder}: no published figures or tables; {fix}")
    problems = []
    for file in files:
        rebuilt = Path(file.parent.name, name, file.name)
        if problem := difference(rebuilt, file):
            problems.append(f"{rebuilt}: {problem}")
    if problems:
        count = f"{len(problems)} of {len(files)} figures and tables differ from the published ones"
        raise BundleError(f"studies/{name}.yaml: {count}:{listed(problems)}")
    print(f"{len(files)} figures and tables are as published")


def difference(rebuilt: Path, expected: Path) -> str:
    """Return how a csv differs from the published one; numbers may differ by rounding."""
    if not rebuilt.is_file():
        return "missing; run snakemake"
    if rebuilt.read_bytes() == expected.read_bytes():
        return ""
    try:
        pd.testing.assert_frame_equal(
            pd.read_csv(rebuilt), pd.read_csv(expected), rtol=1e-4, atol=1e-6
        )
    except (AssertionError, ValueError) as error:
        return " ".join(str(error).split())
    return ""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    commands = options.add_subparsers(required=True, metavar="{create,open,compare}")
    study = {"help": "name of a file of studies/, without .yaml"}
    command = commands.add_parser("create", help="pack the results of a study")
    command.add_argument("study", **study)
    command.add_argument("--output", type=Path, help=f"default: {FOLDER}/STUDY.tar.xz")
    command.add_argument("--partial", action="store_true", help="pack the results that exist")
    limit = f"include trained generators, at most this size together (default {WEIGHTS_MB:g} MB)"
    weights = {"nargs": "?", "type": float, "const": WEIGHTS_MB, "metavar": "MB"}
    command.add_argument("--weights", help=limit, **weights)
    command.set_defaults(run=create)
    command = commands.add_parser("open", help="put the results of a bundle in place")
    command.add_argument("file", type=Path, help="bundle that create wrote")
    command.set_defaults(run=open_bundle)
    command = commands.add_parser("compare", help="compare figures and tables with the published")
    command.add_argument("study", **study)
    command.set_defaults(run=compare)
    return options


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    args = parser().parse_args(arguments)
    try:
        args.run(args)
    except (ArchiveError, BundleError, StudyError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()

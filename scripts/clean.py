"""Remove the intermediate files of a finished study: image shards, trained models, states.

Images that another study uses stay. Figures and tables stay, and can be drawn again without these
files. A later job that needs them, such as a new size, runs the jobs before it again.
"""

import argparse
from pathlib import Path

from synscale.study.load import StudyError, load_study
from synscale.workflow import cleaning


def size_text(count: int) -> str:
    """Return a number of bytes in MB, or in GB from one GB on."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    options.add_argument("study", help="name of a file of studies/, without .yaml")
    options.add_argument("--dry-run", action="store_true", help="report, and remove nothing")
    options.add_argument(
        "--keep", nargs="+", default=[], choices=cleaning.KINDS, help="kinds of files that stay"
    )
    return options


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    args = parser().parse_args(arguments)
    try:
        study = load_study(f"studies/{args.study}.yaml")
        studies = [load_study(path) for path in Path("studies").glob("*.yaml")]
        cleaning.check_finished(study)
    except (StudyError, cleaning.NotFinished) as error:
        raise SystemExit(str(error)) from None
    used_shards = cleaning.shards_of_figures(study) | cleaning.lent_shards(study, studies)
    rows = [row for row in cleaning.removals(study, used_shards) if row.kind not in args.keep]
    for row in rows:
        print(f"{row.kind:<8} {row.files:>9,} files {size_text(row.size):>12}")
        if not args.dry_run:
            row.remove()
    total = size_text(sum(row.size for row in rows))
    print(f"{'would free' if args.dry_run else 'freed'} {total} of study {args.study}")


if __name__ == "__main__":
    main()

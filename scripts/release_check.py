"""Check what a release needs, and list what is missing.

python -m scripts.release_check, or make release-check

The version in synscale/__init__.py must be that of CITATION.cff and of the first section of
CHANGELOG.md, whose date must be that of CITATION.cff. Generated pages must be current, and the
tree must be committed, without a tag of this version.
"""

import argparse
import re
import subprocess
from pathlib import Path

import yaml

import synscale
from scripts import write_reference

HEADING = re.compile(r"^## (\S+), (\S+)$", re.MULTILINE)


def version_problems(changelog: str, citation: dict, version: str) -> list[str]:
    """Return how versions and dates of a release differ.

    Parameters
    ----------
    changelog : str
        Text of CHANGELOG.md.
    citation : dict
        Content of CITATION.cff.
    version : str
        Version of the package.
    """
    heading = HEADING.search(changelog)
    if not heading:
        return ["CHANGELOG.md: no section (expected '## VERSION, DATE'); add it"]
    problems = []
    for file, other in (("CHANGELOG.md", heading[1]), ("CITATION.cff", str(citation["version"]))):
        if other != version:
            fix = "correct one of them"
            problems.append(f"{file}: version {other} (expected {version} of synscale); {fix}")
    date = str(citation["date-released"])
    if heading[2] != date:
        dates = f"date {heading[2]}, expected {date} of CITATION.cff"
        problems.append(f"CHANGELOG.md: wrong date ({dates}); set both to the day of the release")
    return problems


def page_problems() -> list[str]:
    """Return the generated pages that are not current."""
    problems = []
    for name, part in write_reference.generated_parts().items():
        page = write_reference.PAGES / name
        text = page.read_text(encoding="utf-8")
        if write_reference.replaced(text, part) != text:
            problems.append(f"{page}: not current; run python -m scripts.write_reference")
    return problems


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def tree_problems(version: str) -> list[str]:
    """Return what is not committed, and whether the version has a tag."""
    problems = []
    if changed := _git("status", "--porcelain"):
        count = len(changed.splitlines())
        problems.append(f"the tree: {count} files are not committed; commit or remove them")
    if _git("tag", "--list", f"v{version}"):
        fix = "raise the version in synscale/__init__.py, CITATION.cff and CHANGELOG.md"
        problems.append(f"tag v{version}: exists already; {fix}")
    return problems


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    formatter = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(description=__doc__, formatter_class=formatter)


def main(arguments: list[str] | None = None) -> None:
    """Print what is missing, and fail if anything is."""
    parser().parse_args(arguments)
    version = synscale.__version__
    changelog = Path("CHANGELOG.md").read_text(encoding="utf-8")
    citation = yaml.safe_load(Path("CITATION.cff").read_text(encoding="utf-8"))
    problems = version_problems(changelog, citation, version)
    problems += page_problems() + tree_problems(version)
    if problems:
        raise SystemExit("\n".join([f"version {version} cannot be released:", *problems]))
    print(f"version {version} can be released: git tag v{version}")


if __name__ == "__main__":
    main()

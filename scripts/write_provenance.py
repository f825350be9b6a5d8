"""Where the results of a study come from: versions, commit, machine, the results with their times,
and the study file as it stood.

Made anew whenever a result or a setting of the study is: it tells of the moment when the last
result was finished. Results older than that may be of an older commit; their times tell which.
"""

import hashlib
import json
import platform
import shutil
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from textwrap import indent

import yaml

from synscale.report import captions
from synscale.report import html as pages
from synscale.runtime import cli
from synscale.runtime.atomic import atomic_write
from synscale.workflow.settings import digest


def commit() -> str:
    """Commit of the code that runs, with `-dirty` where a tracked file differs from it."""

    def git(*arguments: str) -> str | None:
        done = subprocess.run(
            [shutil.which("git") or "git", "-C", here.parent, *arguments],
            capture_output=True,
            text=True,
        )
        return done.stdout.strip() if done.returncode == 0 else None

    here = Path(__file__).resolve()
    # A copy of the code may lie inside a checkout of something else, whose commit says nothing of
    # it.
    if shutil.which("git") is None or git("ls-files", "--error-unmatch", here.name) is None:
        return "not known: no git checkout"
    return (
        git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
        or "not known: no commit yet"
    )


def versions(environments: list[Path]) -> dict[str, str]:
    """Version of every package that an environment file names; its pin where this job's own
    environment does not have the package.
    """
    found = {"python": platform.python_version()}
    for path in environments:
        for pin in yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"][-1]["pip"]:
            name, pinned = pin.split("==")
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                found.setdefault(name, f"{pinned} (pin of {path.name})")
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def result(path: str) -> dict[str, str]:
    file = Path(path)
    made = datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(" ", "seconds")
    return {"path": path, "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "made": made}


def table(head: list[str], rows: Iterable[Iterable[str]]) -> str:
    texts = [[pages.literal(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *texts])


def main(arguments: list[str] | None = None) -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--results", required=True, nargs="+", help="figures and tables that are told of"
    )
    parser.add_argument(
        "--environments", required=True, nargs="+", type=Path, help="environment files of the rules"
    )
    parser.add_argument(
        "--snakemake", required=True, help="its version: a rule's environment need not have it"
    )
    parser.add_argument("--output", required=True, nargs=2, help="html, json")
    args, settings = cli.parse(parser, arguments, captions.whole)

    record = {
        "title": settings["title"],
        "commit": commit(),
        "written": datetime.now(UTC).isoformat(" ", "seconds"),
        "machine": platform.platform(),
        "versions": {"snakemake": args.snakemake} | versions(args.environments),
        "settings": digest(settings),
        "results": [result(path) for path in args.results],
        "study": Path(args.study).read_text(encoding="utf-8"),
    }
    told = [[name, record[name]] for name in ("title", "commit", "written", "machine", "settings")]
    parts = [
        "# Provenance",
        table(["", ""], told),
        "## Versions",
        table(["package", "version"], record["versions"].items()),
    ]
    parts += [
        "## Results",
        table(["file", "sha256", "made (UTC)"], [row.values() for row in record["results"]]),
    ]
    parts += ["## Study file", indent(record["study"], "    ")]
    with atomic_write(*args.output) as (html, data):
        html.write_text(pages.page("provenance", "\n\n".join(parts)), encoding="utf-8")
        data.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

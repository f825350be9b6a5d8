"""Write the generated parts of docs/reference/{study_file,figures,command_line}.md.

python -m scripts.write_reference

The sources are the models of a study file, data/paper_items.csv, and the parsers of the commands.
"""

import argparse
from importlib import import_module
from pathlib import Path

from synscale.report import command_reference, figure_reference
from synscale.runtime.atomic import atomic_write
from synscale.study import reference
from synscale.workflow import rule_names

PAGES = Path("docs/reference")
BEGIN = "<!-- written by scripts.write_reference -->\n"
END = "<!-- end of the written part -->\n"
# Rules whose scripts are also commands for users.
USER_RULES = {"calibrate", "plan"}


def commands() -> list[str]:
    """Return the names of the scripts that a user calls."""
    scripts = {path.stem for path in Path("scripts").glob("*.py")}
    return sorted(scripts - (rule_names.rules().keys() - USER_RULES))


def generated_parts() -> dict[str, str]:
    """Return the generated part of each page, by the name of its file."""
    parsers = {name: import_module(f"scripts.{name}").parser() for name in commands()}
    return {
        "study_file.md": reference.content(),
        "figures.md": figure_reference.content(),
        "command_line.md": command_reference.content(parsers),
    }


def replaced(page: str, part: str) -> str:
    """Return a page with a new generated part between its marks.

    Raises
    ------
    ValueError
        If the page lacks a mark.
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no part between {BEGIN.strip()!r} and {END.strip()!r}; add both lines")
    return f"{head}{begin}\n{part}\n\n{end}{tail}"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(description=__doc__, formatter_class=raw)


def main(arguments: list[str] | None = None) -> None:
    parser().parse_args(arguments)
    for name, part in generated_parts().items():
        path = PAGES / name
        try:
            page = replaced(path.read_text(encoding="utf-8"), part)
        except ValueError as error:
            raise SystemExit(f"{path}: {error}") from None
        with atomic_write(path) as (temporary,):
            temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()

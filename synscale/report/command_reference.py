"""Sections of docs/reference/command_line.md: the commands that a user calls."""

import argparse
import re
import textwrap

DEFAULT = re.compile(r" \(default: .*\)$")
# Beginnings of a paragraph that is a command.
COMMANDS = ("python -m ", "srun ", "snakemake ", "pip ", "apt-get ", "    ")


def paragraphs(text: str) -> list[str]:
    """Return the docstring of a command as Markdown: paragraphs that are commands become code."""
    parts = []
    for part in text.strip().split("\n\n"):
        is_code = part.startswith(COMMANDS)
        parts.append(f"```text\n{textwrap.dedent(part)}\n```" if is_code else part)
    return parts


def default(action: argparse.Action) -> str:
    """Return the default of an option."""
    if action.required:
        return "required"
    if action.nargs == 0:
        return "off"
    if action.default in (None, []):
        return "none"
    values = action.default if isinstance(action.default, (list, tuple)) else [action.default]
    return f"`{' '.join(map(str, values))}`" if list(values) != action.choices else "all"


def _rows(parser: argparse.ArgumentParser, command: str = "") -> list[str]:
    """Return a row for each argument and option; those of subcommands begin with its name."""
    rows = []
    for action in parser._actions:
        if action.dest == "help":
            continue
        if isinstance(action, argparse._SubParsersAction):
            for choice in action._choices_actions:
                rows.append(f"| `{choice.dest}` | | {choice.help} |")
                rows += _rows(action.choices[choice.dest], f"{choice.dest} ")
            continue
        options = action.option_strings or [action.dest.upper()]
        names = ", ".join(f"`{command}{name}`" for name in options)
        about = DEFAULT.sub("", action.help or "")
        if action.choices:
            about += f" ({', '.join(f'`{choice}`' for choice in action.choices)})"
        rows.append(f"| {names} | {default(action)} | {about} |")
    return rows


def options(parser: argparse.ArgumentParser) -> str:
    """Return the arguments and options of a command as a table, or that it has none."""
    rows = ["| option | default | description |", "|---|---|---|", *_rows(parser)]
    return "\n".join(rows) if len(rows) > 2 else "It has no options."


def content(parsers: dict[str, argparse.ArgumentParser]) -> str:
    """Return a section for each command as Markdown.

    Parameters
    ----------
    parsers : dict of str to ArgumentParser
        Parser of each command, by the name of its module. Its description is the docstring.
    """
    parts: list[str] = []
    for name, parser in parsers.items():
        parts += [f"## scripts.{name}", *paragraphs(parser.description or ""), options(parser)]
    return "\n\n".join(parts)

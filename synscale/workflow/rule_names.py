"""Names of the workflow's rules, read from their text: before Snakemake has read it."""

import difflib
import re
from functools import cache
from pathlib import Path

RULES = Path(__file__).resolve().parents[2] / "rules"


# `rule x:` or `use rule base as x with:`
HEADER = re.compile(r"^(?:use )?rule (\w+)(?: as (\w+) with)?:", re.MULTILINE)


@cache
def rules() -> dict[str, str]:
    """Return the text of each rule by its name: if it uses another rule, the text of that too.

    Strings that continue on the next line are joined.
    """
    texts, bases = {}, {}
    for path in sorted(RULES.glob("*.smk")):
        text = re.sub(r'"\n +"', "", path.read_text("utf-8"))
        headers = list(HEADER.finditer(text))
        starts = [header.start() for header in headers]
        for header, end in zip(headers, [*starts[1:], len(text)], strict=False):
            base, name = header.groups() if header[2] else (None, header[1])
            texts[name] = text[header.start() : end]
            bases[name] = base
    return {name: text + texts.get(bases[name], "") for name, text in texts.items()}


def rules_with(resource: str) -> list[str]:
    """Return the rules that declare a resource, such as `gpu` or `nodes`."""
    line = re.compile(rf"^ +{resource}=", re.MULTILINE)
    return [rule for rule, text in rules().items() if line.search(text)]


def unknown(kind: str, name: str, known: tuple[str, ...]) -> str:
    """Describe an unknown name with the nearest known one.

    Parameters
    ----------
    kind : str
        What the name stands for, such as `rule`.
    name : str
        The unknown name.
    known : tuple of str
        Names that exist.
    """
    near = difflib.get_close_matches(name, known, n=1)
    fix = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    return f"unknown {kind}; {fix}"

"""Names of the workflow's rules, read from their text: before Snakemake has read it."""

import difflib
import re
from functools import cache
from pathlib import Path

RULES = Path(__file__).resolve().parents[2] / "rules"


@cache
def rules() -> dict[str, str]:
    """Return the text of each rule of the workflow by the rule's name."""
    texts = {}
    for path in sorted(RULES.glob("*.smk")):
        parts = re.split(r"^(?:rule|checkpoint) ", path.read_text("utf-8"), flags=re.MULTILINE)
        for text in parts[1:]:
            texts[text.split(":")[0].strip()] = text
    return texts


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

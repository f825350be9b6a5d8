"""Check the files that a user requests against the study, before Snakemake plans them.

Without this check a misspelt figure ends in Snakemake's "No rule to produce", a misspelt group or
shard in an IndexError or, worse, in an empty result.
"""

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from synscale.study.models import Study
from synscale.workflow.rule_values import check_values
from synscale.workflow.settings.figures import names_of
from synscale.workflow.targets import NotInStudy, suggestion

WILDCARD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Form:
    """A form of path that a rule makes, such as figures/{study}/teaser.pdf."""

    rule: str
    pattern: str

    @property
    def wildcards(self) -> int:
        """Number of different or repeated wildcards in the pattern."""
        return len(WILDCARD.findall(self.pattern))

    def values(self, path: str) -> dict[str, str] | None:
        """Return the value of each wildcard, or None if the path has another form."""
        match = _expression(self.pattern).fullmatch(path)
        return match and match.groupdict()


@cache
def _expression(pattern: str) -> re.Pattern:
    parts, seen = [], set()
    for index, part in enumerate(WILDCARD.split(pattern)):
        if index % 2 == 0:
            parts.append(re.escape(part))
        else:
            parts.append(f"(?P={part})" if part in seen else f"(?P<{part}>[^/]+?)")
            seen.add(part)
    return re.compile("".join(parts))


def check(requested: Iterable[str], forms: Sequence[Form], studies: dict[str, Study]) -> None:
    """Raise NotInStudy with every requested file that no rule makes.

    Parameters
    ----------
    requested : iterable of str
        Files, as on the command line. Files that exist need no rule.
    forms : sequence of Form
        Every form that a rule makes.
    studies : dict of str to Study
        The studies by name.
    """
    problems = []
    for path in dict.fromkeys(requested):
        problem = _problem(path, forms, studies)
        if problem:
            problems.append(f"{path}: {problem}")
    if problems:
        raise NotInStudy("\n".join(problems))


def _problem(path: str, forms: Sequence[Form], studies: dict[str, Study]) -> str | None:
    """Return why no rule makes a file; None if one does, or if the file exists."""
    matches = [(form, values) for form in forms if (values := form.values(path)) is not None]
    fewest = min((form.wildcards for form, _ in matches), default=0)
    problems = []
    for form, values in matches:
        if form.wildcards > fewest:
            continue
        name = values.pop("study", None)
        if name is None:
            return None
        if name not in studies:
            return f"no study {name!r}; {suggestion(name, studies)}"
        try:
            check_values(form.rule, studies[name], values)
        except NotInStudy as error:
            problems.append(str(error))
        else:
            return None
    if problems:
        return problems[0]
    if os.path.isdir(path):
        return "is a folder, which no rule makes; request a file in it"
    if os.path.exists(path):
        return None
    return _no_form(path, forms, studies)


def _no_form(path: str, forms: Sequence[Form], studies: dict[str, Study]) -> str:
    """Return what may be meant by a path that has no known form."""
    relative = os.path.relpath(path)
    if relative != path and any(form.values(relative) for form in forms):
        return f"no rule makes it; write it as {relative}"
    examples: dict[str, str] = {}
    for name, study in studies.items():
        paths = [f"figures/{name}/{figure}.pdf" for figure in names_of(study.figures)]
        paths += [f"tables/{name}/{table}.csv" for table in names_of(study.tables)]
        for result in paths:
            examples.setdefault(Path(result).stem, result)
            examples[os.path.splitext(result)[0]] = result
        examples[f"provenance/{name}"] = f"provenance/{name}.html"
    near = difflib.get_close_matches(os.path.splitext(relative)[0], examples, n=1)
    if near:
        return f"no rule makes it; did you mean {examples[near[0]]}?"
    folder = relative.split("/")[0]
    patterns = [form.pattern for form in forms if form.pattern.split("/")[0] == folder]
    patterns = patterns or [f"{name}/{{study}}/{{name}}" for name in ("figures", "tables", "plan")]
    return f"no rule makes it; files that rules make have the forms {', '.join(patterns)}"

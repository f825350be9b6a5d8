"""Figures and tables that follow from the experiments of a study which does not choose them.

A study without `figures` or `tables` gets each one that its experiments support; `auto` in place of
a figure's keys requests one. Thresholds and the choice of panels are this project's. The claims and
the comparison with published numbers need a choice by the study.
"""

from collections.abc import Iterator
from dataclasses import fields
from inspect import signature
from typing import Any

from pydantic import ValidationError

from synscale.study.automatic import figures
from synscale.study.automatic.contents import Contents
from synscale.study.checks import figures as figure_checks
from synscale.study.models import Figures, Tables

AUTO = "auto"
SECTIONS: dict[str, tuple[type[Figures] | type[Tables], dict[str, figures.Automatic]]] = {
    "figures": (Figures, figures.FIGURES),
    "tables": (Tables, figures.TABLES),
}


def _errors(section: str, name: str, value: dict, sections: dict[str, Any]) -> Iterator[str]:
    """Yield the errors of one figure or table of a study."""
    model, _ = SECTIONS[section]
    empty = {"figures": Figures(), "tables": Tables()}
    try:
        known = sections | empty | {section: model.model_validate({name: value})}
    except ValidationError as error:
        yield str(error)
        return
    for check in figure_checks.CHECKS:
        names = signature(check).parameters
        yield from check(**{key: known[key] for key in names})


def without_auto(raw: Any) -> Any:
    """Return the content of a section without the figures or tables that are automatic."""
    if isinstance(raw, dict):
        return {name: value for name, value in raw.items() if value != AUTO}
    return {} if raw is None else raw


def fill(section: str, raw: Any, sections: dict[str, Any]) -> tuple[Any, list[str]]:
    """Return the figures or tables of a study with those that follow from its experiments.

    Parameters
    ----------
    section : {"figures", "tables"}
    raw : dict or None
        What the study file has; None for every one that is supported.
    sections : dict
        The other sections of the study, without errors.

    Returns
    -------
    value : dict
        Content of the section.
    errors : list of str
        One for each figure that is requested and not supported.
    """
    filled = without_auto(raw)
    if not isinstance(filled, dict):
        return raw, []
    model, rows = SECTIONS[section]
    requested = {name for name in raw or () if raw[name] == AUTO}
    filled |= {name: AUTO for name in requested - model.model_fields.keys()}  # an unknown key
    requested &= model.model_fields.keys()
    contents = Contents(**{field.name: sections[field.name] for field in fields(Contents)})
    errors = []
    for name in rows if raw is None else sorted(requested):
        value = rows[name].keys(contents) if name in rows else None
        problems = [] if value is None else list(_errors(section, name, value, sections))
        if value is not None and not problems:
            filled[name] = value
        elif name in requested:
            needs = f"needs {rows[name].needs}" if name in rows else "needs a choice by the study"
            fix = "write its keys, or remove it"
            reason = problems[0] if problems else needs
            errors.append(f"{section}.{name} = 'auto': not supported ({reason}); {fix}")
    return filled, errors

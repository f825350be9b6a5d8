"""Files of scores and of laws as tables and by curve."""

import json
from pathlib import Path

import pandas as pd

CONFIGURATION = ["source", "guidance"]


def _read_json(path: str):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def scores(paths: list[str]) -> pd.DataFrame:
    """Read every score of each configuration: source, guidance, images, and a column each.

    Several files may have scores of one configuration, in different feature spaces.
    """
    entries: dict[tuple, dict] = {}
    for path in paths:
        for entry in _read_json(path):
            entries.setdefault((entry["source"], entry["guidance"]), {}).update(entry)
    return (
        pd.DataFrame(list(entries.values()))
        .drop(columns="per_class")
        .astype({"guidance": "Float64"})
    )


def class_scores(paths: list[str]) -> pd.DataFrame:
    """Read the scores of each class: source, guidance, class_id, and a column for each score."""
    entries = [entry for path in paths for entry in _read_json(path)]
    rows = [
        {key: entry[key] for key in CONFIGURATION} | row
        for entry in entries
        for row in entry["per_class"]
    ]
    return pd.DataFrame(rows).astype({"guidance": "Float64"})


def laws(paths: list[str]) -> dict[str, dict]:
    """Read files of laws, by the name of the law."""
    return {Path(path).stem: _read_json(path) for path in paths}


def fitted_curves(paths: list[str]) -> dict[str, dict[tuple, dict]]:
    """Read files of laws: law -> (source, guidance scale, architecture) -> entry of the curve."""
    return {
        law: {
            (curve["source"], curve["guidance"], curve["architecture"]): curve
            for curve in entry["curves"]
        }
        for law, entry in laws(paths).items()
    }

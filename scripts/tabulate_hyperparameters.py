"""Every hyper-parameter of the study, from its file: of data, generators, training and scores."""

import pandas as pd

from synscale.report import tables
from synscale.runtime import cli
from synscale.workflow.settings.tables import hyperparameters_settings

TEXT = "Values of the study file. Epochs: iterations times batch size over training images."


def flat(value, key: str = "") -> dict[str, str]:
    """Return nested settings as one level of texts, without those that are not given.

    Keys are joined by dots, lists by commas.
    """
    if isinstance(value, dict):
        texts = {}
        for name, inner in value.items():
            texts |= flat(inner, f"{key}.{name}" if key else str(name))
        return texts
    if isinstance(value, list | tuple):
        items = [str(item) for item in value]
        return {key: (" / " if any("," in item for item in items) else ", ").join(items)}
    return {} if value is None else {key: f"{value:g}" if isinstance(value, float) else str(value)}


def tidy_rows(parts: dict[str, dict[str, dict]]) -> pd.DataFrame:
    """Return part -> name -> key -> value as columns part, name, key, value."""
    rows = []
    for part, names in parts.items():
        for name, values in names.items():
            rows += [(part, str(name), *pair) for pair in flat(values).items()]
    return pd.DataFrame(rows, columns=["part", "name", "key", "value"])


def readable(rows: pd.DataFrame) -> str:
    """Return one part: a row for each key, a column for each name; transposed if names are many."""
    order = rows["key"].drop_duplicates(), rows["name"].drop_duplicates()
    wide = rows.pivot(index="key", columns="name", values="value").loc[order]
    wide = wide.T if wide.shape[1] > 3 else wide
    wide.index.name, wide.columns.name = "", None
    return tables.markdown(wide.rename(columns={"all": "value"}).reset_index())


def main(arguments: list[str] | None = None) -> None:
    """Write the table of hyper-parameters."""
    args, settings = cli.parse(tables.arguments(__doc__), arguments, hyperparameters_settings)
    tidy = tidy_rows(settings.parts)
    parts = ["# Hyper-parameters", TEXT]
    for part, rows in tidy.groupby("part", sort=False):
        parts += [f"## {part.capitalize()}", readable(rows)]
    tables.write(tidy, parts, args.output)


if __name__ == "__main__":
    main()

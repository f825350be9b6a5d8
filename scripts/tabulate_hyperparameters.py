"""Every hyper-parameter of the study, from its file: what is made, trained and scored, and how."""

import pandas as pd

from synscale.report import tables
from synscale.runtime import cli
from synscale.workflow.settings import tables as table_settings


def flat(value, key: str = "") -> dict[str, str]:
    """Nested settings as one level of texts: keys joined by dots, lists by commas. What is not
    given is left out.
    """
    if isinstance(value, dict):
        return {
            k: v
            for name, inner in value.items()
            for k, v in flat(inner, f"{key}.{name}" if key else str(name)).items()
        }
    if isinstance(value, list | tuple):
        texts = [str(item) for item in value]
        return {key: (" / " if any("," in text for text in texts) else ", ").join(texts)}
    return {} if value is None else {key: f"{value:g}" if isinstance(value, float) else str(value)}


def tidy_rows(settings: dict) -> pd.DataFrame:
    """settings: part -> name -> key -> value. Columns part, name, key, value."""
    rows = [
        (part, str(name), key, value)
        for part, names in settings.items()
        for name, own in names.items()
        for key, value in flat(own).items()
    ]
    return pd.DataFrame(rows, columns=["part", "name", "key", "value"])


def readable(own: pd.DataFrame) -> str:
    """One part: a row for each key and a column for each name, or the other way round where names
    are many.
    """
    wide = own.pivot(index="key", columns="name", values="value").loc[
        own["key"].drop_duplicates(), own["name"].drop_duplicates()
    ]
    wide = wide.T if wide.shape[1] > 3 else wide
    wide.index.name, wide.columns.name = "", None
    wide = wide.rename(columns={"all": "value"}).reset_index()
    return tables.markdown(wide)


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(
        tables.arguments(__doc__), arguments, table_settings.hyperparameters_settings
    )
    tidy = tidy_rows(settings)
    parts = [
        "# Hyper-parameters",
        "As the study's file gives them. Epochs: iterations times batch size over training images.",
    ]
    for part, own in tidy.groupby("part", sort=False):
        parts += [f"## {part.capitalize()}", readable(own)]
    tables.write(tidy, parts, args.output)


if __name__ == "__main__":
    main()

"""A study with some of the classes of a data set, such as 100 of the 1,000 of ImageNet.

data/datasets.csv names the class table of a data set. If the study's table has some of its WordNet
ids, images of the other classes are left out, and integers are class ids of the data set's table.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from synscale.data.datasets.registry import DataSet, Survey
from synscale.study import class_table

LINK = "wnid"  # column that tells which rows of two class tables are the same class


@dataclass(frozen=True)
class NamedClasses:
    """The classes by which a data set names those of its images.

    Attributes
    ----------
    table : str
        CSV of the classes.
    rows : list of dict
        Its rows, then those of the study that it lacks.
    study_ids : list of int or None
        Class id of each row in the study; None if the study does not have the class.
    """

    table: str
    rows: list[dict[str, str]]
    study_ids: list[int | None]

    @property
    def is_subset(self) -> bool:
        """Whether the study lacks classes of the data set."""
        return None in self.study_ids


def named_classes(data: DataSet) -> NamedClasses:
    """Return the classes of a data set: those of the study unless it has only some of them."""
    complete = NamedClasses(str(data.table), data.classes, list(range(len(data.classes))))
    table = data.row.get("class_table", "")
    if not table or table == data.table or not Path(table).is_file():
        return complete
    rows = class_table.rows(table)
    ids = {row[LINK]: i for i, row in enumerate(data.classes) if LINK in row}
    study_ids = [ids.get(row.get(LINK, "")) for row in rows]
    known = set(study_ids) - {None}
    if not known or None not in study_ids:
        return complete
    added = [i for i in range(len(data.classes)) if i not in known]
    rows += [{column: data.classes[i].get(column, "") for column in rows[0]} for i in added]
    return NamedClasses(table, rows, [*study_ids, *added])


def leave_out(survey: Survey, data: DataSet, images: int) -> None:
    """Note the images of a data set whose classes the study does not have.

    Parameters
    ----------
    survey : Survey
        What was read; it gets the note.
    data : DataSet
    images : int
        Number of these images.
    """
    survey.others = images
    if images:
        note = f"{images} images of classes that are not in {data.table}, which are left out"
        survey.notes.append(note)


@cache
def share(name: str, table: str) -> float:
    """Return the share of a data set's classes that a study has.

    Parameters
    ----------
    name : str
        Row of data/datasets.csv; any other name has the study's classes.
    table : str
        Class table of the study.
    """
    data = DataSet(name, "", table)
    if not (data.row.get("classes") and Path(table).is_file()):
        return 1.0
    is_subset = named_classes(data).is_subset
    return len(data.expected) / int(data.row["classes"]) if is_subset else 1.0

"""Numbers of images of a data set, and what a study expects of them."""

from collections import Counter

from synscale.data.datasets.held_out import held_out_images
from synscale.data.datasets.registry import DataSet, Survey, first_few


def count_problems(data: DataSet, survey: Survey) -> list[str]:
    """List classes without images, and wrong numbers of images.

    Parameters
    ----------
    data : DataSet
    survey : Survey
        Problems that it has already suppress those that may follow from them.
    """
    if survey.classes is None:
        return []
    problems = [] if data.pairs else _class_problems(data, survey, survey.classes)
    if survey.problems:
        return problems
    total = survey.classes.total()
    present = total + survey.others
    expected = data.row.get("images")
    if expected and not data.training and not data.skip and present != int(expected):
        fix = f"if that is intended, use another name than {data.name!r}"
        problems.append(f"wrong number of images ({present}, expected {expected}); {fix}")
    # Pairs have left them out already, and a part need not have them.
    usable = total if data.pairs or data.part else total - len(data.skipped)
    if data.held_out:
        single = [data.classes[i]["name"] for i, count in survey.classes.items() if count == 1]
        if single:
            problem = f"one image of {len(single)} classes: {first_few(single)}"
            problems.append(f"{problem}; none can be held out; add images")
        usable -= held_out_images(survey.classes, data.held_out.fraction)
    if data.part:
        start, stop = data.part
        if usable < (stop or start + 1):
            counts = f"{usable} images that are not held out, expected {stop or start + 1}"
            problems.append(f"too few images for part = {list(data.part)} ({counts}); change it")
            return problems
        usable = (stop or usable) - start
    if data.min_images and usable < data.min_images:
        detail = f"{usable}, a source of the study takes {data.min_images}"
        problems.append(f"too few images ({detail}); lower sources.*.images")
    return problems


def _class_problems(data: DataSet, survey: Survey, counts: Counter) -> list[str]:
    missing = [data.classes[i] for i in data.expected if not counts[i]]
    other = sorted(set(counts) - set(data.expected))
    problems = []
    if missing and not survey.problems:
        names = [f"{row.get('wnid') or row['class_id']} ({row['name']})" for row in missing]
        fix = f"add images, or remove the classes from {data.table}"
        problems.append(f"no image of {len(missing)} classes: {first_few(names)}; {fix}")
    if other and data.row.get("subset"):
        problem = f"images of classes that are not in its subset {data.row['subset']!r}"
        problems.append(f"{problem}: {first_few(other)}; move them away")
    elif other:
        expected = f"{data.table} has 0 to {len(data.classes) - 1}"
        problem = f"images of class ids {first_few(other)}, but {expected}"
        problems.append(f"{problem}; add these classes to it")
    return problems

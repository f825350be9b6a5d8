"""Places for labels next to points, so that they do not overlap."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.transforms import Bbox
from scipy.optimize import isotonic_regression

OFFSETS = ((4, 3), (4, -8), (-4, 3), (-4, -8), (4, 9), (-4, 9))  # points


def spread_out(values: np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
    """Return places for labels as near to values as a distance between neighbours allows.

    Parameters
    ----------
    values : array_like, shape (N,)
    gap : float
        Smallest distance of neighbours.
    low, high : float
        Ends of the range of places.

    Returns
    -------
    ndarray, shape (N,)
        In the order of the values; nearest in the sense of least squares.
    """
    values = np.asarray(values, float)
    order = np.argsort(values, kind="stable")
    steps = gap * np.arange(len(values))
    places = np.empty(len(values))
    nearest = isotonic_regression(values[order] - steps).x
    places[order] = np.clip(nearest, low, high - steps[-1]) + steps
    return places


def name_points(axes: plt.Axes, points: list[tuple[float, float, str]]) -> None:
    """Write a name next to each point, at the first of six places where it overlaps nothing.

    A name that would overlap points, earlier names or the edge everywhere is left out. The figure
    must have its layout.

    Parameters
    ----------
    axes : Axes
    points : list of tuple of (float, float, str)
        x, y and name of each point.
    """
    at = axes.transData.transform([(x, y) for x, y, _ in points])
    taken = [Bbox.from_extents(*(place - 3), *(place + 3)) for place in at]
    for x, y, name in points:
        for place in OFFSETS:
            style = {"ha": "left" if place[0] > 0 else "right", "fontsize": 6, "zorder": 20}
            text = axes.annotate(name, (x, y), place, textcoords="offset points", **style)
            text.set_in_layout(False)
            box = text.get_window_extent().padded(1)
            is_inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
            if is_inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()

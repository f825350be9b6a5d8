"""Losses of known laws."""

import numpy as np

SIZES = 30 * 2.0 ** np.arange(6)
LONG = 30 * 2.0 ** np.arange(10)


def curve(kind: str, random, noise: float, sizes=LONG) -> np.ndarray:
    """Losses of a known law with multiplicative noise; k = 0.4 before a break."""
    exact = {
        "power": (200 / sizes) ** 0.4,
        "floor": 0.5 + (200 / sizes) ** 0.4,
        "broken": np.exp(
            0.2
            - 0.4 * np.minimum(np.log(sizes) - 5.5, 0)
            - 0.1 * np.maximum(np.log(sizes) - 5.5, 0)
        ),
    }
    return exact[kind] * np.exp(random.normal(0, noise, len(sizes)))

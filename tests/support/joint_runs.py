"""Simulated losses of real images, synthetic images and mixtures of both, with known laws."""

import numpy as np
import pandas as pd

REAL = 30 * 2.0 ** np.arange(5)
SYNTHETIC = 30 * 2.0 ** np.arange(8)
MIXED = {30.0: 60, 120.0: 240, 480.0: 960}  # real images of a curve, and its smallest size


def constant(n, m, w: float = 0.2) -> np.ndarray:
    """Return losses of a law of an effective number of images."""
    return 0.2 + 8 * (n + w * m) ** -0.5


def risk(n, m, bias: float = 0.5) -> np.ndarray:
    """Return losses of a law of a weighted risk."""
    total = n + m
    return 0.1 + bias * (m / total) ** 2 + ((40 * n + 70 * m) / total**2) ** 0.5


def simulate(law, noise: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """Return runs as columns real, synthetic, losses and curves."""
    rows = [(n, 0.0, "real") for n in REAL] + [(0.0, m, "synthetic") for m in SYNTHETIC]
    for n, smallest in MIXED.items():
        sizes = smallest * 2.0 ** np.arange(8)
        rows += [(n, size - n, f"real_{n:g}") for size in sizes if size <= 3840]
    table = pd.DataFrame(rows, columns=["real", "synthetic", "curves"])
    scatter = np.random.default_rng(seed).normal(0, noise, len(table))
    n, m = table["real"].to_numpy(), table["synthetic"].to_numpy()
    return table.assign(losses=law(n, m) * np.exp(scatter))

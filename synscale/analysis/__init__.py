"""Statistics of the metrics: laws, claims, classes, correlations. Imports no torch."""

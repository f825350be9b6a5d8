"""Checks across the parts of a study file. Each returns a line for each error."""

"""Prompts: recipes of the paper and texts of the user. Imports no torch."""

"""Figures, tables and pages, and their captions."""

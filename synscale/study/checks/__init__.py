"""Checks across the sections of a study.

Each check in a module's CHECKS takes the sections that it needs by name and yields a line for each
error: key, value, what is wrong and what to do. A check is skipped if one of its sections could not
be read.
"""

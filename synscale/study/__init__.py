"""The study file: its models, its checks, and how it is read. Imports no torch."""

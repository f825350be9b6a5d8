"""Start of a job, its settings and environment, and how it writes files."""

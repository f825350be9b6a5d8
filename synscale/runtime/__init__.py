"""How a job starts, finds its settings and writes its files."""

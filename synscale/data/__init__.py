"""Images in shards, and the data sets that they come from. Imports no torch."""

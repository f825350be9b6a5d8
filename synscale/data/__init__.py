"""Images in shards, and the data sets that they are made of. Imports no torch."""

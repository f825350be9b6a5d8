"""What the rules use while Snakemake plans: paths, settings and inputs. Imports no torch.

Functions take the study first, then names from it: of a source, split, shard, group of runs,
generator, recipe, law, experiment, architecture, figure or table. These names are what the
wildcards of the rules have as values.
"""

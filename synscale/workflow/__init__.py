"""What the rules use while Snakemake plans: paths, settings and inputs. Imports no torch."""

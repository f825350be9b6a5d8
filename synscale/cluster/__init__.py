"""A SLURM cluster: its site file, its partitions, and the allocation of a job. Imports no torch."""

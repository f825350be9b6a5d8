"""What a target would take before anything runs: jobs, hours, disk, images, money, energy.

work.py      what one job does, in units (images, iterations, TFLOP), and the bytes that it leaves: from the study alone
fit.py       seconds a unit, from what was measured
hardware.py  seconds a unit takes on a type of machine, prices, power: profiles/hardware/{name}.yaml
dag.py       which jobs a target needs and which of them are done: Snakemake itself is asked
totals.py    sums of a list of jobs: per stage, critical path, disk, budget
"""

"""What a target would take before a job starts: jobs, hours, disk, images, money, energy.

cost_model.py         work of each job in units (images, iterations, TFLOP), and bytes on disk
work_units.py         units of work; the work of a job
flops.py              FLOPs and weights of every model
evaluation_images.py  images and texts of an evaluation
image_sizes.py        bytes of an image, estimated or measured in existing shards
hardware.py           a type of machine: seconds per unit, prices, power
least_squares.py      seconds per unit, fitted to measured times
dag.py                jobs of a target, from Snakemake; checks before they start
budget.py             limits of config.yaml
summary.py            sums per stage, longest chain
what_if.py            the plan of a smaller study
plan_page.py          the page of a plan
records.py            times that a finished run recorded
speed_fit.py          a finished run next to its plan; speeds fitted to it
resources.py          what a job requests of a scheduler
clip_memory.py, reader_memory.py   memory of trainings
"""

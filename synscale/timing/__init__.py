"""Measurements for `snakemake calibrate` and the benchmarks: how fast this project's code is.

machine.py      the device, its clock and memory
fake_images.py  generated images
stand_ins.py, stand_ins_transformers.py   models of the right size with random weights
stand_in_components.py                    parts of those models
loops.py        training loops, timed from outside
bench.py        settings of a measurement, its result, repetition
starting.py, reading.py, prompting.py, generating.py, training.py, evaluating.py   work of each rule
stages.py       all of it, by rule
calibration.py  a hardware file from the results
"""

import synscale.runtime.torch_setup  # noqa: F401

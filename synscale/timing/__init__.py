"""How fast this project's own code is on the machine at hand, as `scripts.calibrate` and the
benchmarks time it.

machine.py    the device, its clock and memory
pictures.py   images that are made for it
stand_ins.py  models of their true sizes with random weights, where the true ones are not on disk; stand_ins_transformers.py: those of transformers
loops.py      training loops, watched from outside
bench.py      where and for how long; what is found, in the units that a plan counts
generating.py, prompting.py, training.py, judging.py, starting.py   what is timed of each rule of a study
stages.py     all of them, by rule
records.py    what a finished run recorded, which plans are set beside
"""

import synscale.runtime.torch_setup  # noqa: F401

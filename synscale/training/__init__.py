"""Training of generators, classifiers and CLIP models: streaming, loops, checkpoints, processes."""

import synscale.runtime.torch_setup  # noqa: F401

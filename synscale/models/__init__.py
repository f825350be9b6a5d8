"""Models: released pipelines, classifiers and CLIP models, and how they are loaded and sampled."""

import synscale.runtime.torch_setup  # noqa: F401

"""`snakemake` that asks SLURM for its jobs once a second.

The plugin asks ever less often while no job ends, up to every three minutes, and has no setting for
it: right for a shared controller, too slow for tests. Everything else is as `snakemake` itself.
"""

import sys

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

Executor.next_seconds_between_status_checks = property(lambda self: 1, lambda self, seconds: None)

if __name__ == "__main__":
    main(sys.argv[1:])

"""Start a script on the GPUs of a job: `python -m scripts.lib.launch GPUS NODES scripts.x --its arguments`.

One process where there is one GPU or none; by torchrun one for each GPU where there are more; on several nodes of SLURM, by srun one torchrun
on each. Any of them that dies brings all down, and the job is started again by Snakemake.
"""

import os
import socket
import sys


def torchrun(gpus: int, nodes: int, host: str, job: int) -> list[str]:
    """Command of a node. host: of the first node; job: a number by which the nodes find each other and no one else."""
    meeting = ["--nnodes", str(nodes), "--rdzv-backend", "c10d", "--rdzv-endpoint", f"{host}:{29400 + job % 1000}", "--rdzv-id", str(job)]
    return [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(gpus // nodes), *(["--standalone"] if nodes == 1 else meeting)]


def command(gpus: int, nodes: int, script: list[str]) -> list[str]:
    if gpus <= 1:
        return [sys.executable, "-m", *script]
    if gpus % nodes:
        raise SystemExit(f"gpu = {gpus}: cannot be shared equally by nodes = {nodes}: give each node the same number")
    run = torchrun(gpus, nodes, socket.gethostname(), int(os.environ.get("SLURM_JOB_ID", 0)))
    steps = ["srun", "--ntasks", str(nodes), "--ntasks-per-node", "1", "--kill-on-bad-exit=1"] if nodes > 1 else []
    return [*steps, *run, "-m", *script]


if __name__ == "__main__":
    chosen = command(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
    os.execvp(chosen[0], chosen)  # noqa: S606  (replaced by it, so that signals reach it)

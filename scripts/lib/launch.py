"""Start a script on the GPUs of a job: `python -m scripts.lib.launch GPUS NODES THREADS scripts.x --its arguments`. Threads are a node's.

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


def command(gpus: int, nodes: int, threads: int, script: list[str]) -> list[str]:
    if gpus <= 1:
        return [sys.executable, "-m", *script]
    if gpus % nodes:
        raise SystemExit(f"gpu = {gpus}: cannot be shared equally by nodes = {nodes}: give each node the same number")
    run = torchrun(gpus, nodes, socket.gethostname(), int(os.environ.get("SLURM_JOB_ID", 0)))
    if nodes == 1:
        return [*run, "-m", *script]
    # All is said again, for Snakemake's job step keeps what sbatch was told from srun.
    share = {"nodes": nodes, "ntasks": nodes, "ntasks-per-node": 1, "cpus-per-task": threads, "gpus-per-node": gpus // nodes, "kill-on-bad-exit": 1}
    return ["srun", *(f"--{name}={value}" for name, value in share.items()), *run, "-m", *script]


if __name__ == "__main__":
    chosen = command(*map(int, sys.argv[1:4]), sys.argv[4:])
    os.execvp(chosen[0], chosen)  # noqa: S606  (replaced by it, so that signals reach it)

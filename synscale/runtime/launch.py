"""Start a job's script on the GPUs of the job.

python -m synscale.runtime.launch GPUS scripts.x ...                  one process, whatever GPUS is
python -m synscale.runtime.launch GPUS NODES THREADS scripts.x ...    one process for each GPU

GPUS is the number of GPUs over all nodes, THREADS that of CPU threads on each node. Several
processes are started by torchrun; on several nodes of SLURM, srun starts a torchrun on each. If one
of them dies, all are stopped, and Snakemake starts the job again.
"""

import os
import socket
import sys

from synscale.runtime import gpu_lock as gpu_locks


def torchrun(gpus: int, nodes: int, host: str, job: int) -> list[str]:
    """Return the command of one node.

    Parameters
    ----------
    gpus, nodes : int
        Number of GPUs over all nodes, and of nodes.
    host : str
        Name of the first node.
    job : int
        Number by which the nodes of this job find each other.

    Returns
    -------
    list of str
        Command and arguments, without the script.
    """
    endpoint = f"{host}:{29400 + job % 1000}"
    meeting = ["--nnodes", str(nodes), "--rdzv-backend", "c10d"]
    meeting += ["--rdzv-endpoint", endpoint, "--rdzv-id", str(job)]
    processes = ["--nproc-per-node", str(gpus // nodes)]
    start = [sys.executable, "-m", "torch.distributed.run", *processes]
    return [*start, *(["--standalone"] if nodes == 1 else meeting)]


def command(gpus: int, nodes: int, threads: int, script: list[str]) -> list[str]:
    """Return the command that starts one process for each GPU, one process if there is no GPU.

    Parameters
    ----------
    gpus, nodes, threads : int
        Number of GPUs over all nodes, of nodes, and of CPU threads on each node.
    script : list of str
        Module and its arguments.

    Raises
    ------
    SystemExit
        If the nodes cannot have equal numbers of GPUs.
    """
    if gpus <= 1:
        return [sys.executable, "-m", *script]
    if gpus % nodes:
        message = f"gpu ({gpus}) must be divisible by nodes ({nodes})"
        raise SystemExit(f"{message}; give each node the same number")
    job = int(os.environ.get("SLURM_JOB_ID", 0))
    run = torchrun(gpus, nodes, socket.gethostname(), job)
    if nodes == 1:
        return [*run, "-m", *script]
    # Repeat every request: Snakemake's job step keeps from srun what sbatch was given.
    share = {
        "nodes": nodes,
        "ntasks": nodes,
        "ntasks-per-node": 1,
        "cpus-per-task": threads,
        "gpus-per-node": gpus // nodes,
        "kill-on-bad-exit": 1,
    }
    return ["srun", *(f"--{name}={value}" for name, value in share.items()), *run, "-m", *script]


def main(arguments: list[str]) -> None:
    """Replace this process by the one that runs the script."""
    gpus = int(arguments[0])
    if arguments[1].isdigit():
        nodes, threads, script = int(arguments[1]), int(arguments[2]), arguments[3:]
        run = command(gpus, nodes, threads, script)
    else:
        nodes, run = 1, [sys.executable, "-m", *arguments[1:]]
    if nodes == 1:  # on several, SLURM gives GPUs to the step that srun starts
        gpu_locks.acquire_gpus(gpus)
    os.environ[gpu_locks.ASSIGNED] = str(gpus)
    os.execvp(run[0], run)  # noqa: S606  (the same process, so that signals and locks stay with it)


if __name__ == "__main__":
    main(sys.argv[1:])

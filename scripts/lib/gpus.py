"""Which GPU a job may use on a machine that has several and no scheduler to tell."""

import fcntl
import os
import tempfile
from pathlib import Path

_HELD = []  # open lock files: the system lets go of them when the process ends, however it ends


def claim(devices: Path = Path("/dev"), locks: Path | None = None) -> None:
    """Set CUDA_VISIBLE_DEVICES to the first GPU that no other process holds by this function, for as long as this process lives.

    Does nothing where a scheduler, a user or torchrun has chosen, or where there is one GPU or none. Call it before CUDA is used.
    devices: where GPUs are nvidia0, nvidia1, ...; locks: folder of the lock files, of this user by default.
    """
    numbers = sorted(int(path.name[6:]) for path in devices.glob("nvidia[0-9]*") if path.name[6:].isdigit())
    if len(numbers) < 2 or {"CUDA_VISIBLE_DEVICES", "LOCAL_RANK", "SLURM_JOB_ID"} & os.environ.keys():
        return
    locks = locks or Path(tempfile.gettempdir()) / f"synthetic-scaling-{os.getuid()}"
    locks.mkdir(mode=0o700, exist_ok=True)
    for number in numbers:
        lock = (locks / f"gpu{number}").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _HELD.append(lock)
        os.environ["CUDA_VISIBLE_DEVICES"] = str(number)
        return
    raise SystemExit(f"each of the {len(numbers)} GPUs is held by another job ({locks}): snakemake --resources gpu={len(numbers)}")

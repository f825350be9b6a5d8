"""Choose the GPUs of a job and lock them, so that no two jobs of a user share one.

Snakemake counts GPUs but does not select those of a job. `synscale/runtime/launch.py` calls
`acquire_gpus` before a job's script starts. It takes GPUs of CUDA_VISIBLE_DEVICES, or of the
machine if that is unset, and locks each of them until the job ends, for whatever reason.
"""

import fcntl
import os
import re
import socket
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ASSIGNED = "SYNTHETIC_SCALING_GPUS"  # number of GPUs of this job, set by `launch`
CPU = "SYNTHETIC_SCALING_CPU"  # "allow": a job that was given GPUs may run on the CPU
_LOCKS: list[IO[str]] = []  # open files: the operating system unlocks them when the process ends


def _lock_folder() -> Path:
    # Not TMPDIR, which may differ between two shells on one machine.
    shared = "/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir()  # noqa: S108
    return Path(shared, f"synthetic-scaling-{os.getuid()}")


@dataclass(frozen=True)
class Gpu:
    """A GPU that this process may use.

    Attributes
    ----------
    device : str
        Name in CUDA_VISIBLE_DEVICES.
    identity : str
        The same for every name of one GPU.
    """

    device: str
    identity: str


@dataclass(frozen=True)
class Machine:
    """Where a machine lists its GPUs and where lock files are kept.

    Attributes
    ----------
    devices : Path
        Folder of nvidia0, nvidia1, ...
    driver : Path
        Folder with a folder for each GPU, by PCI address, that has a file `information`.
    locks : Path
        Folder of the lock files, the same for all processes of a user.
    """

    devices: Path = Path("/dev")
    driver: Path = Path("/proc/driver/nvidia/gpus")
    locks: Path = field(default_factory=_lock_folder)

    def count(self) -> int:
        """Return the number of GPUs of the machine."""
        return sum(path.name[6:].isdigit() for path in self.devices.glob("nvidia[0-9]*"))

    def uuids(self) -> list[str]:
        """Return the UUID of each GPU by PCI address; empty if the driver lists none."""
        uuids = []
        for path in sorted(self.driver.glob("*/information")):
            match = re.search(r"GPU UUID:\s*(\S+)", path.read_text(errors="replace"))
            uuids.append(match[1] if match else path.parent.name)
        return uuids

    def visible(self) -> list[Gpu]:
        """Return the GPUs of CUDA_VISIBLE_DEVICES in its order, all if it is unset."""
        mask = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = list(map(str, range(self.count()))) if mask is None else _names(mask)
        identities = self._identities(names)
        return [Gpu(name, identity) for name, identity in zip(names, identities, strict=True)]

    def _identities(self, names: list[str]) -> list[str]:
        """Return one identity for an index and a UUID of one GPU, if the driver or SLURM shows it.

        SLURM may number the GPUs of each allocation from 0. Allocations do not share GPUs, so
        each has different identities, unless SLURM does not manage the GPUs at all.
        """
        allocation, of_job = os.environ.get("SLURM_JOB_ID"), os.environ.get("SLURM_JOB_GPUS", "")
        numbers = _names(os.environ.get("SLURM_STEP_GPUS") or of_job)
        if allocation and (numbers or "CUDA_VISIBLE_DEVICES" in os.environ):
            same = numbers if len(numbers) == len(names) else names
            return [f"slurm{allocation}-{name}" for name in same]
        uuids = self.uuids()
        return [_identity(name, uuids) for name in names]


def _names(mask: str) -> list[str]:
    """Return the entries of a mask. CUDA ignores those after an invalid entry such as -1."""
    names: list[str] = []
    for name in (part.strip() for part in mask.split(",")):
        if not (name.isdigit() or name.startswith(("GPU-", "MIG-"))):
            break
        if name not in names:
            names.append(name)
    return names


def _identity(name: str, uuids: list[str]) -> str:
    """Return the identity of an index, a UUID, its unique start, or a MIG instance."""
    if name.isdigit():
        return uuids[int(name)] if int(name) < len(uuids) else f"index-{int(name)}"
    matches = [uuid for uuid in uuids if uuid.startswith(name)]
    return matches[0] if len(matches) == 1 else name


def cpu_allowed() -> bool:
    """Whether jobs that were given GPUs may run on the CPU. Raises SystemExit for other values."""
    value = os.environ.get(CPU)
    if value not in (None, "", "allow"):
        raise SystemExit(f"{CPU}: unknown value ({value!r}, expected 'allow'); set it or unset it")
    return value == "allow"


def acquire_gpus(count: int, machine: Machine | None = None) -> None:
    """Lock GPUs for this process and for the program that replaces it by exec.

    CUDA_VISIBLE_DEVICES is set to them. A job with 0 GPUs sees none. Without any visible GPU
    nothing is locked, and `torch_setup.deterministic` reports the reason.

    Parameters
    ----------
    count : int
        Number of GPUs on this machine.
    machine : Machine, optional
        Folders of devices and locks; this machine's by default.

    Raises
    ------
    SystemExit
        If fewer GPUs are visible, or not locked by other jobs, than are needed.
    """
    machine = machine or Machine()
    if count == 0:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        return
    # Indices then mean the same in CUDA, nvidia-smi and the driver's list.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    visible = machine.visible()
    if not visible:
        return
    if len(visible) < count:
        raise SystemExit(
            f"node {socket.gethostname()}: too few visible GPUs for this job ({len(visible)}, "
            f"expected {count}; {described_mask()}); "
            "request fewer (set-resources: gpu) or make more of them visible"
        )
    locked = _lock(visible, count, machine.locks)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpu.device for gpu in locked)


def described_mask() -> str:
    """Return the mask of this process, for messages."""
    mask = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "CUDA_VISIBLE_DEVICES is not set" if mask is None else f"CUDA_VISIBLE_DEVICES={mask!r}"


def _lock(visible: list[Gpu], count: int, folder: Path) -> list[Gpu]:
    """Lock the first `count` GPUs that no other process holds, all or none."""
    folder.mkdir(mode=0o700, exist_ok=True)
    files: dict[Gpu, IO[str]] = {}
    holders: dict[Gpu, str] = {}
    with (folder / "choosing").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # two jobs that choose at once could block each other
        for gpu in visible:
            file: IO[str] = (folder / re.sub(r"[^A-Za-z0-9_.-]", "_", gpu.identity)).open("a+")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holders[gpu] = file.read().strip() or "another process"
                file.close()
                continue
            files[gpu] = file
            if len(files) == count:
                break
        if len(files) < count:
            for opened in files.values():
                opened.close()
            used = "; ".join(f"GPU {gpu.device}: {holder}" for gpu, holder in holders.items())
            raise SystemExit(
                f"node {socket.gethostname()}: too few free GPUs for this job ({len(files)} of "
                f"{len(visible)}, expected {count}); held by other jobs: {used}. "
                f"Limit the jobs that run at once: snakemake --resources gpu={len(visible)}"
            )
    for opened in files.values():
        opened.truncate(0)
        opened.write(f"process {os.getpid()}, {' '.join(sys.argv[:8])}"[:300])
        opened.flush()
        os.set_inheritable(opened.fileno(), True)  # the lock outlives exec, which starts the script
        _LOCKS.append(opened)
    return list(files)

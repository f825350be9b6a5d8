"""The project's workflow on a test cluster, in a separate folder: started, watched, and inspected
afterwards.
"""

import contextlib
import json
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil
from safetensors import safe_open

from synscale.data import shards
from tests.support.slurm.cluster import ACCOUNT, GPUS, Cluster, Job, wait_for
from tests.support.workflow import Workflow

# A test takes seconds, a cluster hours. At most as many jobs as GPUs and a few more run at once,
# because all share two real cores.
QUICK = ["--jobs", "6"]
SAVED = {".state", ".safetensors", ".pt", ".parquet"}  # what a retry resumes from
SITE = f"""
account: {ACCOUNT}
qos: normal
gpu_model: h100
partitions:
  cpu: {{max_mem_mb: 60000}}
  gpu: {{max_mem_mb: 60000, max_gpu: {GPUS}}}
"""


@dataclass
class OnCluster(Workflow):
    """`snakemake --profile slurm` in `folder`; `output.txt` has the output of all starts."""

    cluster: Cluster = None

    @classmethod
    def create(cls, folder: Path, cluster: Cluster, gpus: int = 1, site: str = SITE) -> "OnCluster":
        workflow = super().create(folder, copied=("scripts", "synscale", "rules"))
        workflow.cluster = cluster
        workflow.edit("gpus: 0", f"gpus: {gpus}")
        workflow.edit("hardware: laptop", "hardware: a100", "config.yaml")
        (folder / "profiles/slurm/site.yaml").write_text(site)
        return workflow

    def start(self, *arguments: str) -> subprocess.Popen:
        with (self.folder / "output.txt").open("a") as output_file:
            command = [
                sys.executable,
                Path(__file__).with_name("quick_snakemake.py"),
                "--profile",
                "slurm",
                *QUICK,
                *arguments,
            ]
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.cluster.environment,
                stdin=subprocess.DEVNULL,
                stdout=output_file,
                stderr=output_file,
                start_new_session=True,
            )

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run to the end; return what this start printed."""
        before = len(self.all_output)
        process = self.start(*arguments)
        process.wait()
        assert not check or process.returncode == 0, self.all_output[before:]
        return self.all_output[before:]

    @staticmethod
    def put_snakemake(folder: Path, *prefix: str) -> None:
        """Write a command `snakemake` into a folder of PATH: this one, behind another command such
        as `taskset`.
        """
        command = [
            *prefix,
            sys.executable,
            str(Path(__file__).with_name("quick_snakemake.py")),
            *QUICK,
        ]
        script = folder / "snakemake"
        script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        script.chmod(0o755)

    def shell(self, line: str, commands: Path, folder: Path | None = None) -> str:
        """Run a line of bash as a user types it, and return what it printed.

        Parameters
        ----------
        line : str
            The line.
        commands : Path
            A folder that precedes those of PATH.
        folder : Path, optional
            The working directory, by default the folder of the workflow.
        """
        environment = self.cluster.environment
        environment["PATH"] = f"{commands}:{environment['PATH']}"
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=folder or self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    @property
    def all_output(self) -> str:
        path = self.folder / "output.txt"
        return path.read_text() if path.exists() else ""

    # -- jobs while they run

    def job_of(self, rule: str, output: str = "") -> Job | None:
        """The running SLURM job of a rule, with the wildcards in `output`, a path in results/."""
        parts = [part.removesuffix(".tar") for part in Path(output).parts[3:]]
        return next(
            (
                job
                for job in self.cluster.jobs("RUNNING")
                if job.rule.startswith(f"rule_{rule}_w") and all(part in job.rule for part in parts)
            ),
            None,
        )

    def processes(self) -> list[psutil.Process]:
        """Processes of jobs of this workflow: those that run in its folder, in a SLURM job."""
        processes = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if (
                    process.cwd() == str(self.folder)
                    and "SLURM_JOB_ID" in process.environ()
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    processes.append(process)
        return processes

    def scripts(self) -> dict[str, psutil.Process]:
        """SLURM's id of each job -> the process of its script."""
        scripts = {}
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if "python" in process.name() and any(
                    part.startswith(("scripts.", "synscale.")) for part in process.cmdline()[1:4]
                ):  # torchrun adds -u
                    scripts[process.environ()["SLURM_JOB_ID"]] = process
        return scripts

    def process_of(self, job: Job) -> psutil.Process | None:
        return self.scripts().get(job.id)

    # -- files

    def saved(self, process: psutil.Process, state: str) -> float:
        """When a process last saved its work: its start, or the time of its newest state in the
        folder `state`.
        """
        saved_times = [
            path.stat().st_mtime
            for path in (self.folder / state).rglob("[!.]*")
            if path.suffix in SAVED
        ]
        return max([process.create_time(), *saved_times])

    def assert_results_are_complete(self) -> int:
        """Assert that every result with its final name can be read. Return their number."""
        count = 0
        for path in (self.folder / "results").rglob("*"):
            if (
                path.name[0] == "."
                or any(part.endswith(".part") for part in path.parts)
                or not path.is_file()
            ):
                continue
            if path.suffix == ".tar" and path.with_suffix(".parquet").exists():
                shards.read(path)
            elif path.suffix == ".safetensors":
                with safe_open(path, "pt") as file:
                    assert [file.get_tensor(name) for name in file.keys()]  # noqa: SIM118
            elif path.suffix == ".parquet":
                pd.read_parquet(path)
            elif path.suffix == ".json":
                json.loads(path.read_text())
            else:
                continue
            count += 1
        return count

    def assert_nothing_is_left_over(self) -> None:
        """Assert that no job is in the queue, and no process or partial file is left."""
        wait_for(lambda: not self.cluster.jobs(), "jobs are left in the queue", 30)
        wait_for(lambda: not self.processes(), "processes of jobs that are over are left", 30)
        assert not [path for path in (self.folder / "results").rglob("*") if ".part" in path.name]

"""A real SLURM, started by hand and stopped to the last process: munge, MariaDB, slurmdbd,
slurmctld, and a slurmd for each node.

Partitions cpu, gpu and preempt (jobs there give way to those of the other two), four pretend GPUs,
an account `lab` with accounting, so that sacct works. All nodes are this machine: what crosses them
goes over its loopback, and each has its share of the GPUs. It needs root and Debian's packages
slurm-wlm, slurmdbd, munge and mariadb-server (`make test-slurm` installs them).
"""

import contextlib
import os
import secrets
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import psutil

from synscale.runtime import gpu_lock

CONFIG = Path(__file__).parent / "config"
PROGRAMS = ("munged", "mariadbd", "slurmdbd", "slurmctld", "slurmd")
GPUS = 4
NODE = (
    "NodeHostname={host} NodeAddr=127.0.0.1 CPUs=16 Boards=1 SocketsPerBoard=1 CoresPerSocket=16 "
    "ThreadsPerCore=1 RealMemory=64000 Feature=nvlink State=UNKNOWN"
)
ACCOUNT = "lab"


def wait_for(condition: Callable, what: str, seconds: float = 60, every: float = 0.2):
    """What `condition()` returns once it is true. Raises TimeoutError with `what` after so many
    seconds.
    """
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"after {seconds} s: {what}")
        time.sleep(every)
    return value


@dataclass
class Job:
    id: str
    state: str
    rule: str  # the plugin's comment: rule_{rule}_wildcards_{values}
    partition: str
    gpus: str


@dataclass
class Cluster:
    """State, logs, sockets and configuration are in `folder`, which may be removed once the cluster
    is down.
    """

    folder: Path
    nodes: int = 1
    processes: list[subprocess.Popen] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [f"node{number}" for number in range(1, self.nodes + 1)]

    # -- up and down

    def start(self) -> "Cluster":
        missing = [program for program in PROGRAMS if not shutil.which(program)]
        if missing or os.geteuid():
            raise RuntimeError(
                "needs root and Debian's slurm-wlm slurmdbd munge mariadb-server "
                f"(missing: {', '.join(missing) or 'nothing'})"
            )
        for name in ("state", "spool", "log", "run", "dev", "munge", "bin"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "munge").chmod(0o700)
        try:
            self._configure()
            self._start_munge()
            self._start_database()
            self._start_slurm()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Cancel every job, then end the daemons in reverse order, and what they may have left."""
        if any(process.poll() is None for process in self.processes[-2:]):
            subprocess.run(
                ["timeout", "5", "scancel", "--user=root"],
                env=self.environment,
                capture_output=True,
            )
            time.sleep(1)
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        self.processes.clear()
        for process in self.leftovers():
            process.kill()

    def leftovers(self) -> list[psutil.Process]:
        """Processes of this cluster that still run: those whose environment or arguments name its
        folder, whether this process started them or not.
        """
        processes = []
        for process in psutil.process_iter():
            try:
                is_of_cluster = process.environ().get("SLURM_CONF") == str(
                    self.folder / "slurm.conf"
                ) or str(self.folder) in " ".join(process.cmdline())
                if (
                    is_of_cluster
                    and process.pid != os.getpid()
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    processes.append(process)
            except psutil.Error:
                continue
        return processes

    def steps(self) -> list[psutil.Process]:
        """Processes that SLURM runs for each step of a job, some seconds longer than the step.
        They write into the node's log.
        """
        processes = []
        for process in psutil.process_iter(["name"]):
            with contextlib.suppress(psutil.Error):
                if process.info["name"] == "slurmstepd" and any(
                    file.path.startswith(str(self.folder)) for file in process.open_files()
                ):
                    processes.append(process)
        return processes

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of a client of the cluster."""
        variables = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SLURM_", "SBATCH_", "PYTHON"))
        }
        variables |= {gpu_lock.CPU: "allow"}  # the GPUs of this cluster are pretend
        return variables | {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": f"{self.folder / 'bin'}:{variables['PATH']}",
        }

    def _configure(self) -> None:
        names = ("control_port", "database_port", "sql_port", *self.names)
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
        self.values = {name: one.getsockname()[1] for name, one in zip(names, sockets, strict=True)}
        for one in sockets:
            one.close()
        self.values |= {
            "folder": self.folder,
            "host": socket.gethostname().split(".")[0],
            "names": ",".join(self.names),
        }
        gpus_of_node = GPUS // self.nodes
        self.values["nodes"] = "\n".join(
            f"NodeName={name} Port={self.values[name]} Gres=gpu:h100:{gpus_of_node} "
            + NODE.format(**self.values)
            for name in self.names
        )
        self.values["gpus"] = "\n".join(
            f"NodeName={name} Name=gpu Type=h100 "
            f"File={self.folder}/dev/gpu[{gpus_of_node * number}-{gpus_of_node * (number + 1) - 1}]"
            for number, name in enumerate(self.names)
        )
        for path in CONFIG.iterdir():
            target = self.folder / path.name
            target.write_text(Template(path.read_text()).substitute(self.values))
            target.chmod(0o600 if path.name == "slurmdbd.conf" else 0o644)
        for number in range(
            GPUS
        ):  # made like /dev/null: with plain files, slurmd would leave CUDA_VISIBLE_DEVICES unset
            path = self.folder / f"dev/gpu{number}"
            if not path.exists():
                os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        # The plugin's job step drops every SLURM_* variable before it calls srun. Without one,
        # SLURM's programs read the configuration in /etc.
        for name in ("srun", "squeue", "scontrol"):
            wrapper = self.folder / "bin" / name
            wrapper.write_text(
                f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {shutil.which(name)} "$@"\n'
            )
            wrapper.chmod(0o755)

    def _launch(self, *command: str | Path) -> None:
        """Start a daemon, which does not outlive this process, however that ends."""
        command = ("setpriv", "--pdeathsig", "KILL", *command)
        with (self.folder / f"log/{command[3]}.out").open("a") as log:
            self.processes.append(
                subprocess.Popen(
                    command,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def _start_munge(self) -> None:
        folder, run = self.folder / "munge", self.folder / "run"
        (folder / "key").write_bytes(secrets.token_bytes(128))
        (folder / "key").chmod(0o600)
        files = [
            f"--key-file={folder}/key",
            f"--socket={run}/munge.socket",
            f"--pid-file={run}/munged.pid",
            f"--seed-file={folder}/seed",
        ]
        self._launch(
            "munged",
            "--foreground",
            "--force",
            *files,
            f"--log-file={self.folder}/log/munged.log",
            "--num-threads=2",
        )
        wait_for((run / "munge.socket").exists, "munged did not start")

    def _start_database(self) -> None:
        data, socket_file = self.folder / "mysql", self.folder / "run/mysql.socket"
        data.mkdir()
        quick = [
            "--innodb-buffer-pool-size=64M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-lock-wait-timeout=900",
        ]
        install = [
            "mariadb-install-db",
            "--no-defaults",
            "--user=root",
            f"--datadir={data}",
            "--skip-test-db",
        ]
        with (self.folder / "log/mariadb-install.out").open("w") as log:
            subprocess.run(install, check=True, stdout=log, stderr=log)
        where = [
            f"--datadir={data}",
            f"--socket={socket_file}",
            "--bind-address=127.0.0.1",
            f"--port={self.values['sql_port']}",
        ]
        self._launch("mariadbd", "--no-defaults", "--user=root", *where, *quick)
        client = ["mariadb", "--no-defaults", f"--socket={socket_file}", "--user=root"]
        wait_for(
            lambda: (
                subprocess.run([*client, "-e", "select 1"], capture_output=True).returncode == 0
            ),
            "mariadbd did not start",
        )
        users = [
            f"create user 'slurm'@'{host}' identified by 'slurm'; "
            f"grant all on slurm_acct_db.* to 'slurm'@'{host}';"
            for host in ("localhost", "127.0.0.1")
        ]
        subprocess.run(
            [*client, "-e", f"create database slurm_acct_db; {' '.join(users)}"], check=True
        )
        self._launch("slurmdbd", "-D")
        wait_for(
            lambda: self.tried("sacctmgr", "--noheader", "list", "cluster") is not None,
            "slurmdbd did not start",
        )
        for what in (
            ["cluster", "tests"],
            ["account", ACCOUNT, "Description=lab", "Organization=lab"],
            ["user", "root", f"account={ACCOUNT}"],
        ):
            self.call("sacctmgr", "--immediate", "add", *what)

    def _start_slurm(self) -> None:
        self._launch("slurmctld", "-D", "-c")
        for name in self.names:
            self._launch("slurmd", "-D", "-N", name)
        states = ["sinfo", "--noheader", "--Node", "--partition=cpu", "--format=%T"]
        wait_for(
            lambda: (self.tried(*states) or "").split() == ["idle"] * self.nodes,
            f"not all nodes are idle, see {self.folder}/log/slurmctld.log",
        )

    # -- what it is asked

    def call(self, *command: str) -> str:
        return subprocess.run(
            ["timeout", "30", *command],
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def tried(self, *command: str) -> str | None:
        """As `call`, but None if the command fails."""
        done = subprocess.run(
            ["timeout", "10", *command], env=self.environment, capture_output=True, text=True
        )
        return done.stdout if done.returncode == 0 else None

    def jobs(self, *states: str) -> list[Job]:
        """Jobs in the queue, in these states (by default all that have not ended)."""
        filters = [f"--states={','.join(states)}"] if states else []
        lines = self.call("squeue", "--noheader", "--format=%i|%T|%k|%P|%b", *filters).splitlines()
        return [Job(*line.split("|")) for line in lines]

    def node(self, state: str) -> None:
        """Set the state of the last node."""
        self.tried(
            "scontrol", "update", f"NodeName={self.names[-1]}", f"State={state}", "Reason=test"
        )  # it may have come up by itself

    def hasten(self) -> None:
        """Let requeued jobs start now, and not in two minutes."""
        wait_for(lambda: self.jobs("PENDING"), "no job was requeued")
        self.start_pending()

    def start_pending(self) -> None:
        """Let jobs that wait for their time start now."""
        for job in self.jobs("PENDING"):
            self.tried("scontrol", "update", f"JobId={job.id}", "StartTime=now")

    def history(self) -> list[dict[str, str]]:
        """Every job that accounting knows, requeued ones once for each start."""
        fields = [
            "JobID",
            "State",
            "Partition",
            "AllocTRES",
            "Comment",
            "Start",
            "End",
            "ExitCode",
            "JobName",
            "Account",
            "ReqTRES",
        ]
        lines = self.call(
            "sacct", "-X", "-D", "-n", "-P", f"--format={','.join(fields)}"
        ).splitlines()
        return [dict(zip(fields, line.split("|"), strict=True)) for line in lines]

"""The project's workflow in a temporary folder, as the tests run it."""

import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import snakemake.cli

from synscale.runtime import gpu_lock

ROOT = Path(__file__).parents[2]
SNAKEMAKE = Path(sys.executable).parent / "snakemake"
SMOKE = ROOT / "tests/workflow/smoke.yaml"
# What the project ships. A user's studies and machines, in the same folders, are not tested.
STUDIES = {name: ROOT / f"studies/{name}.yaml" for name in ("digits", "imagenet", "imagenet100")}
MACHINES = {name: ROOT / f"profiles/hardware/{name}.yaml" for name in ("laptop", "a100", "h100")}


@dataclass
class Workflow:
    """The project's workflow in a temporary folder, with the smoke study as its default study.

    Folders are links to the project. A test may edit those that `copied` names. Files that users
    add are left out: their studies, the site file of a cluster, measured speeds.
    """

    folder: Path

    @classmethod
    def create(cls, folder: Path, copied: tuple[str, ...] = ()) -> "Workflow":
        folder.mkdir(parents=True, exist_ok=True)
        ignored = shutil.ignore_patterns("site.yaml", "measured_*.yaml")
        shutil.copytree(ROOT / "profiles", folder / "profiles", ignore=ignored)
        (folder / "slurm").symlink_to("profiles/slurm")
        for name in ("Snakefile", "rules", "scripts", "synscale", "envs", "data", "report"):
            if name in copied:
                subprocess.run(["cp", "-r", ROOT / name, folder / name], check=True)
            else:
                (folder / name).symlink_to(ROOT / name)
        (folder / "studies").mkdir()
        (folder / "studies/smoke.yaml").write_text(SMOKE.read_text())
        (folder / "config.yaml").write_text("study: smoke\nhardware: laptop\n")
        return cls(folder)

    def copy(self, folder: Path) -> "Workflow":
        """Return a copy with the same modification times, which a test may change."""
        return type(self)(shutil.copytree(self.folder, folder, symlinks=True))

    @property
    def study(self) -> Path:
        return self.folder / "studies/smoke.yaml"

    def edit(self, old: str, new: str, path: str = "studies/smoke.yaml") -> None:
        text = (self.folder / path).read_text()
        assert old in text, f"{old!r} is not in {path}"
        (self.folder / path).write_text(text.replace(old, new, 1))

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run the command `snakemake` and return what it printed."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment |= {
            gpu_lock.CPU: "allow"
        }  # test machines have no GPU, whatever a study asks for
        done = subprocess.run(
            [SNAKEMAKE, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            env=environment,
        )
        return self._printed(done.returncode, done.stdout + done.stderr, check)

    def dry_run(self, *arguments: str, check: bool = True) -> str:
        """Plan in a fork of this process and return what `snakemake -n` printed.

        A fork needs no start of Python and no imports, which take two thirds of the time of a dry
        run, and leaves this process as it was. Code comes from the project, not from the copies in
        `folder`, whose modification times still count.
        """
        return self._printed(*in_fork(start_snakemake, self.folder, [*arguments, "-n"]), check)

    def planned(self, *arguments: str) -> dict[str, int]:
        """Return the job table of a dry run, rule -> number of jobs, without the target `all`."""
        rows = [line.split() for line in self.dry_run(*arguments, "--quiet").splitlines()]
        table = {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
        return {rule: count for rule, count in table.items() if rule not in ("total", "all")}

    @staticmethod
    def _printed(status: int, output: str, check: bool) -> str:
        assert not check or status == 0, output
        return output


def enter(folder: Path) -> None:
    """Change to a folder, and forget what was cached by paths that are relative to another."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("scripts.", "synscale.")):
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
    os.chdir(folder)


def start_snakemake(folder: Path, arguments: list[str]) -> None:
    """Run `snakemake` in this process, which ends with it.

    Parameters
    ----------
    folder : Path
        Working directory.
    arguments : list of str
        Of the command line.
    """
    enter(folder)
    snakemake.cli.main(arguments)


def in_fork(function: Callable, *arguments) -> tuple[int, str]:
    """Call a function in a fork of this process.

    Returns
    -------
    tuple of int and str
        Exit status (1 after an exception), and what the function printed.
    """
    with tempfile.TemporaryFile("w+") as printed:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for descriptor in (1, 2):
                    os.dup2(printed.fileno(), descriptor)
                sys.stdout = sys.stderr = printed
                function(*arguments)
                status = 0
            except SystemExit as end:
                if isinstance(end.code, str):
                    print(end.code)
                status = end.code if isinstance(end.code, int) else int(end.code is not None)
            except BaseException:
                traceback.print_exc()
            finally:
                printed.flush()
                os._exit(status)
        _, status = os.waitpid(child, 0)
        printed.seek(0)
        return os.waitstatus_to_exitcode(status), printed.read()

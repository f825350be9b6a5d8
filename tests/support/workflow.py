"""The project's workflow in a temporary folder, as the tests run it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SNAKEMAKE = Path(sys.executable).parent / "snakemake"
SMOKE = ROOT / "tests/workflow/smoke.yaml"


@dataclass
class Workflow:
    """The project's workflow in a folder of its own, with the smoke study as the default one.

    Everything but studies/ is a link to the project, except what `copied` names, so that a test can edit it.
    """

    folder: Path

    @classmethod
    def create(cls, folder: Path, copied: tuple[str, ...] = ()) -> "Workflow":
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("Snakefile", "rules", "scripts", "envs", "profiles", "slurm", "data", "report"):
            if name in copied:
                subprocess.run(["cp", "-r", ROOT / name, folder / name], check=True)
            else:
                (folder / name).symlink_to(ROOT / name)
        (folder / "studies").mkdir()
        (folder / "studies/smoke.yaml").write_text(SMOKE.read_text())
        (folder / "config.yaml").write_text("study: smoke\nhardware: laptop\n")
        return cls(folder)

    @property
    def study(self) -> Path:
        return self.folder / "studies/smoke.yaml"

    def edit(self, old: str, new: str, path: str = "studies/smoke.yaml") -> None:
        text = (self.folder / path).read_text()
        assert old in text, f"{old!r} is not in {path}"
        (self.folder / path).write_text(text.replace(old, new, 1))

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run snakemake and return what it printed."""
        done = subprocess.run(
            [SNAKEMAKE, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        )
        output = done.stdout + done.stderr
        assert not check or done.returncode == 0, output
        return output

    def planned(self, *arguments: str) -> dict[str, int]:
        """The job table of a dry run: rule -> number of jobs, without the target `all`."""
        output = self.run(*arguments, "-n", "--quiet")
        rows = [line.split() for line in output.splitlines()]
        table = {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
        return {rule: count for rule, count in table.items() if rule not in ("total", "all")}

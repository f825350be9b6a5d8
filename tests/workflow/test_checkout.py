"""What a user adds to a checkout reaches no test; the workflow without it is linted."""

import pytest

from tests.support import workflow as support
from tests.support.workflow import MACHINES, ROOT, STUDIES, Workflow


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """The project with a valid study, an invalid one, measured speeds and a site file."""
    folder = tmp_path / "checkout"
    for name in ("profiles/slurm", "profiles/hardware", "studies"):
        (folder / name).mkdir(parents=True)
    for path in MACHINES.values():
        (folder / path.relative_to(ROOT)).symlink_to(path)
    (folder / "studies/valid.yaml").write_text(STUDIES["digits"].read_text())
    (folder / "studies/invalid.yaml").write_text("title: [")
    (folder / "profiles/hardware/measured_digits.yaml").write_text("title: [")
    (folder / "profiles/slurm/site.yaml").write_text("account: [")
    (folder / "profiles/slurm/config.yaml").touch()
    monkeypatch.setattr(support, "ROOT", folder)
    return folder


@pytest.mark.parametrize("copied", [(), ("scripts", "synscale", "rules", "data")])
def test_files_of_the_user_are_in_no_test(copied, checkout, tmp_path):
    for name in copied:
        (checkout / name).mkdir()
    folder = Workflow.create(tmp_path / "workflow", copied).folder
    assert [path.name for path in (folder / "studies").iterdir()] == ["smoke.yaml"]
    assert {path.stem for path in (folder / "profiles/hardware").iterdir()} == set(MACHINES)
    assert [path.name for path in (folder / "slurm").iterdir()] == ["config.yaml"]


def test_snakemake_has_nothing_to_lint(workflow):
    output = workflow.dry_run("--lint")
    assert "Congratulations, your workflow is in a good condition!" in output

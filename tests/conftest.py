"""Fixtures of all tests: the workflow in temporary folders, and results that tests share."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers of pytest-xdist share the cores

import synscale.runtime.torch_setup  # noqa: F401  (before torchvision, timm, open_clip, diffusers)

import hypothesis
import pytest

from benchmarks import planned_workflow
from tests.support.shared import create_once, fingerprint
from tests.support.workflow import Workflow, in_fork

# A busy machine must not fail a test of behaviour.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")

COPIED = (
    "scripts",
    "synscale",
    "rules",
    "data",
)  # files of a study that a test may edit, code included
CHAIN = [
    "figures/smoke/supervised_scaling.pdf",
    "tables/smoke/hyperparameters.csv",
    "results/smoke/laws/supervised.json",
]


@pytest.fixture
def workflow(tmp_path) -> Workflow:
    """The workflow before its first job."""
    return Workflow.create(tmp_path / "workflow")


@pytest.fixture(scope="session")
def run_once(tmp_path_factory, worker_id):
    """Return a function that runs the smoke study once for all workers.

    At the end of the session it asserts that no test changed the results.
    """
    before = {}

    def run(name: str, *targets: str) -> Workflow:
        def create(folder):
            workflow = Workflow.create(folder, copied=COPIED)
            (folder / "printed.txt").write_text(workflow.run(*targets), encoding="utf-8")

        folder = create_once(tmp_path_factory, worker_id, name, create)
        before[folder] = fingerprint(folder)
        return Workflow(folder)

    yield run
    for folder, expected in before.items():
        assert fingerprint(folder) == expected, (
            f"a test changed {folder.name}, which all tests share"
        )


@pytest.fixture(scope="session")
def chain(run_once) -> Workflow:
    """One figure, one table and one law of the smoke study, from prompts on. Read-only."""
    return run_once("chain", *CHAIN)


@pytest.fixture(scope="session")
def finished(run_once) -> Workflow:
    """The complete smoke study, run from nothing to figures. Read-only."""
    return run_once("finished")


@pytest.fixture(scope="session")
def no_jobs_left(tmp_path_factory, worker_id) -> Workflow:
    """The smoke study with every output up to date, but empty. Read-only; tests change `done`."""

    def create(folder):
        Workflow.create(folder, copied=COPIED)
        status, printed = in_fork(planned_workflow.mark_done, folder, [])
        assert status == 0, printed

    return Workflow(create_once(tmp_path_factory, worker_id, "no_jobs_left", create))


@pytest.fixture
def done(no_jobs_left, tmp_path) -> Workflow:
    """A copy of the smoke study with no jobs left, for a test to change and plan."""
    return no_jobs_left.copy(tmp_path / "workflow")

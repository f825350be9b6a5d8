import hypothesis
import pytest

from tests.support.workflow import Workflow

hypothesis.settings.register_profile("project", deadline=None)  # a busy machine must not fail a test of behaviour
hypothesis.settings.load_profile("project")


@pytest.fixture
def workflow(tmp_path) -> Workflow:
    """The workflow with nothing made yet."""
    return Workflow.create(tmp_path / "workflow")


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workflow:
    """The smoke study, run once from nothing to figures; scripts and rules are copies, so that tests may touch them.

    Tests leave it finished: what they change they put back.
    """
    workflow = Workflow.create(tmp_path_factory.mktemp("smoke") / "workflow", copied=("scripts", "rules", "data"))
    workflow.output = workflow.run()
    return workflow

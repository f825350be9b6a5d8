import pytest

from tests.support.slurm.cluster import Cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A SLURM for these tests only. No process of it is left when they end."""
    running = Cluster(tmp_path_factory.mktemp("slurm")).start()
    yield running
    running.stop()
    assert not running.leftovers()

"""Shards that several tests of the readers use."""

import pytest

from tests.support.indexed_images import write_shards


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> list[str]:
    """Seven shards of ten real images."""
    return write_shards(tmp_path_factory.mktemp("real"), count=7, images=10)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory) -> list[str]:
    """Three shards of ten images at guidance scales 1 and 2."""
    return write_shards(tmp_path_factory.mktemp("synthetic"), count=3, images=10, scales=(1, 2))

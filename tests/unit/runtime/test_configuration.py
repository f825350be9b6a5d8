"""Keys of config.yaml."""

import pytest

from synscale.runtime import environment


def test_former_key_is_reported_with_its_new_name():
    message = "config.yaml: trust_lists: renamed to 'skip_finished_shards'; rename the key"
    with pytest.raises(ValueError, match=message):
        environment.check({"study": "digits", "trust_lists": True})
    environment.check({"study": "digits", "skip_finished_shards": True})

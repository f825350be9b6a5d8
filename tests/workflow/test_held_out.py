"""Images that are held out of a training set, through the rules."""

import pandas as pd

from synscale.data import shards
from tests.workflow.test_data import create

SET = "    things_val: {dataset: things_val}\n"
HELD_OUT = "    rest: {kind: held_out, of: things, fraction: 0.2, seed: 1}\n"


def test_rules_prepare_disjoint_parts(tmp_path):
    workflow = create(tmp_path / "workflow")
    workflow.edit(SET, SET + HELD_OUT, "studies/files.yaml")
    for old, new in (
        ("images: 10}", "images: 9}"),
        ("sizes: [3, 6, 10]", "sizes: [3, 6, 9]"),
        ("6: 2, 10: 2}", "6: 2, 9: 2}"),
        ("sizes: [3, 10]", "sizes: [3, 9]"),
    ):
        workflow.edit(old, new, "studies/files.yaml")
    folder = workflow.folder / "results/files/data"
    tars = [folder / f"things/{shard:05d}.tar" for shard in range(2)]
    targets = [*map(str, tars), str(folder / "rest/00000.tar")]
    workflow.run(*[target.removeprefix(f"{workflow.folder}/") for target in targets])
    trained = pd.concat([shards.read(tar)[1] for tar in tars])
    held = shards.read(folder / "rest/00000.tar")[1]
    assert held["class_id"].tolist() == [0, 1, 2]
    assert len(trained) == 9 and not set(trained["sha256"]) & set(held["sha256"])
    assert not set(trained["origin"]) & set(held["origin"])

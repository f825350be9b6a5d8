"""The site file on a real SLURM: from another working directory, in a path with a space."""

import shlex

import pytest

from tests.support.slurm.cluster import ACCOUNT
from tests.support.slurm.workflows import SITE, OnCluster

TARGET = "results/smoke/generators/diffusion"


@pytest.fixture(scope="module")
def clone(cluster, tmp_path_factory):
    workflow = OnCluster.create(tmp_path_factory.mktemp("site") / "with space", cluster)
    (workflow.folder / "profiles/slurm/site.yaml").write_text(f"{SITE}constraint: nvlink\n")
    return workflow


def submitted(clone: OnCluster, commands, elsewhere) -> list[dict[str, str]]:
    """Make the target from another directory and return accounting's rows of its jobs."""
    before = len(clone.cluster.history())
    OnCluster.put_snakemake(commands)
    folder = shlex.quote(str(clone.folder))
    clone.shell(
        f"snakemake -s {folder}/Snakefile -d {folder} --profile {folder}/profiles/slurm {TARGET}",
        commands,
        elsewhere,
    )
    assert (clone.folder / TARGET).is_dir()
    return clone.cluster.history()[before:]


def test_run_from_elsewhere_uses_the_site_file_of_the_profile(clone, tmp_path):
    rows = submitted(clone, tmp_path, tmp_path)
    rows = {row["Comment"].split("_wildcards")[0]: row for row in rows}
    assert {row["Account"] for row in rows.values()} == {ACCOUNT}
    assert rows["rule_prepare_data"]["Partition"] == "cpu"
    training = rows["rule_train_generator"]
    assert training["Partition"] == "gpu"
    assert "gres/gpu=1" in training["AllocTRES"]


def test_study_without_gpu_runs_on_the_cpu_partition(clone, tmp_path):
    clone.edit("gpus: 1", "gpus: 0")
    (clone.folder / TARGET).rename(clone.folder / "trained_on_gpu")
    (row,) = submitted(clone, tmp_path, tmp_path)
    assert row["Partition"] == "cpu"
    assert "gpu" not in row["AllocTRES"]

"""Profiles say of the workflow what is so."""

import re

import pytest
import yaml
import yte

from tests.support.workflow import ROOT

SITE = """
account: lab
qos: long
gpu_model: a100
partitions: {gpu: {max_gpu: 4}}
"""


def profile(folder, monkeypatch, site: str | None) -> dict:
    """profiles/slurm as Snakemake reads it in `folder`, with this site file."""
    (folder / "profiles/slurm").mkdir(parents=True)
    if site is not None:
        (folder / "profiles/slurm/site.yaml").write_text(site)
    monkeypatch.chdir(folder)
    return yte.process_yaml((ROOT / "profiles/slurm/config.yaml").read_text(), require_use_yte=True)


def test_the_site_s_type_of_gpu_is_asked_for_by_each_rule_that_asks_for_one_and_by_no_other(tmp_path, monkeypatch):
    rules = {}
    for path in (ROOT / "rules").glob("*.smk"):
        for text in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            rules[text.split(":")[0]] = "gpu=gpus" in text
    assert profile(tmp_path, monkeypatch, SITE)["set-resources"] == {name: {"gpu_model": "a100"} for name, asks in rules.items() if asks}


def test_what_the_site_says_of_a_rule_is_asked_for_beside_the_type_of_gpu(tmp_path, monkeypatch):
    found = profile(tmp_path, monkeypatch, SITE + "set-resources: {score: {mem_mb: 9000}, train_clips: {gpu: 8}}\nset-threads: {train_clips: 64}\n")
    assert found["set-resources"]["score"] == {"gpu_model": "a100", "mem_mb": 9000}
    assert found["set-resources"]["train_clips"] == {"gpu_model": "a100", "gpu": 8}
    assert found["set-resources"]["evaluate"] == {"gpu_model": "a100"}
    assert found["set-threads"] == {"train_clips": 64}


@pytest.mark.parametrize(("site", "share"), [(SITE, "a100:8"), ("account: lab", "8")])
def test_each_of_several_nodes_has_its_share_of_the_gpus_and_a_task_of_srun(tmp_path, monkeypatch, site, share):
    """SLURM refuses a job whose GPUs have a type in one place and none in another."""
    found = profile(tmp_path, monkeypatch, site + "\nset-resources: {train_clips: {gpu: 16, nodes: 2}}")["set-resources"]["train_clips"]
    assert (found["gpu"], found["nodes"], found["tasks"], found["mpi"]) == (16, 2, 2, "srun")
    assert found["slurm_extra"] == f"'--gpus-per-node={share}'"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("train_clips: {gpu: 3, nodes: 2}", "train_clips: gpu = 3 cannot be shared equally by nodes = 2: gpu is of all nodes"),
        ("generate: {gpu: 8, nodes: 2}", "generate: nodes = 2: only train_classifiers and train_clips go over several nodes"),
    ],
)
def test_nodes_that_cannot_share_a_job_are_told_before_any_job(tmp_path, monkeypatch, asked, told):
    with pytest.raises(Exception, match=f"site.yaml: set-resources.{told}"):
        profile(tmp_path, monkeypatch, f"set-resources: {{{asked}}}")


def test_without_a_site_file_nothing_of_a_site_is_asked_for(tmp_path, monkeypatch):
    found = profile(tmp_path, monkeypatch, None)
    assert set(found["default-resources"]) == {"mem_mb", "runtime"}
    assert not {"set-resources", "slurm-qos", "slurm-partition-config"} & set(found)


def test_the_example_is_a_site_file(tmp_path, monkeypatch):
    text = (ROOT / "profiles/slurm/site.example.yaml").read_text()
    found, site = profile(tmp_path, monkeypatch, text), yaml.safe_load(text)
    assert (found["default-resources"]["slurm_account"], found["slurm-qos"]) == (site["account"], site["qos"])
    assert found["slurm-partition-config"] == "profiles/slurm/site.yaml"

"""The study of 100 classes of ImageNet: its plan next to its guide, and the study in miniature."""

import csv
import json
import os
import re

import pandas as pd
import pytest
import yaml

from benchmarks import figure_costs
from synscale.study.load import load_study
from synscale.workflow.settings import figures as figure_settings
from tests.support import fake_datasets as fake
from tests.support import tiny_models, tiny_pipelines
from tests.support.workflow import ROOT, STUDIES, Workflow, in_fork

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/guides/imagenet100.md").read_text(encoding="utf-8")
BUDGET = 150  # GPU-hours on an A100
FIX = (
    "run: python -m benchmarks.figure_costs --study imagenet100 --output docs/guides/imagenet100.md"
)


def rows_of_page(head: str) -> dict[str, list[str]]:
    """Return the rows of the table of the guide whose first column has this name."""
    table = re.search(rf"^ *\| {head} \|.*\n *\|[-|]+\n((?: *\|.*\n)+)", PAGE, re.MULTILINE)[1]
    rows = [
        [cell.strip().replace(",", "") for cell in line.strip().strip("|").split("|")]
        for line in table.splitlines()
    ]
    return {row[0].strip("`"): row[1:] for row in rows}


@pytest.fixture(scope="module")
def planning(tmp_path_factory) -> Workflow:
    """The workflow with the study, planned for an A100."""
    workflow = Workflow.create(tmp_path_factory.mktemp("plan") / "workflow")
    workflow.study.unlink()
    (workflow.folder / "studies/imagenet100.yaml").write_text(STUDIES["imagenet100"].read_text())
    (workflow.folder / "config.yaml").write_text("study: imagenet100\nhardware: a100\n")
    return workflow


def test_stages_of_the_guide_are_those_of_the_plan(planning):
    planning.run("plan/imagenet100/all.csv")
    with (planning.folder / "plan/imagenet100/all.csv").open() as file:
        plan = {row["stage"]: row for row in csv.DictReader(file)}
    assert float(plan["total"]["gpu_hours"]) <= BUDGET
    page = rows_of_page("stage")
    smaller = {stage for stage in plan if stage.startswith("half ")}  # studies
    on_gpus = {stage for stage, row in plan.items() if float(row["gpu_hours"]) > 0.05} - smaller
    assert on_gpus <= set(page)
    for stage, (jobs, hours, *_) in page.items():
        assert int(jobs) == int(plan[stage]["jobs"]), stage
        assert float(hours) == pytest.approx(float(plan[stage]["gpu_hours"]), rel=0.05), stage


def test_hours_of_each_figure_are_within_those_of_the_guide(planning):
    def show():
        os.chdir(planning.folder)
        for row in figure_costs.planned("imagenet100", "a100")[0]:
            print("row", row.name, row.jobs, row.gpu_hours)

    status, printed = in_fork(show)
    assert status == 0, printed
    planned = re.findall(r"^row (\w+) (\d+) (\S+)$", printed, re.MULTILINE)
    page = rows_of_page("figure")
    names = figure_settings.names_of(load_study(STUDIES["imagenet100"]).figures)
    assert {name for name, *_ in planned} == set(page) == set(names), FIX
    for name, jobs, hours in planned:
        stated = page[name]
        assert int(jobs) == int(stated[0]), FIX
        assert float(hours) <= 1.005 * float(stated[1]) <= BUDGET, FIX


# -- miniature: the study itself with small numbers ------------------------------------------------

CLASSES = [15, 277, 724, 953]  # class ids of ImageNet: robin, red fox, pirate ship, pineapple
OTHERS = [1, 207]  # class ids that the study lacks: goldfish, golden retriever
SIZES = {1000: 4, 4000: 8, 16000: 16, 32000: 24, 126689: 32, 128000: 32}
MODELS = {"stable_diffusion": "./released/stable_diffusion", "amused": "./released/amused"}
PATHS = {
    "imagenet_train": "sets/train",
    "imagenet_val": "sets/val/*.tar",
    "imagenet_sketch": "sets/sketch",
    "imagenet_v2": "sets/v2",
}


def small_sizes(sizes: list[int]) -> list[int]:
    return [SIZES[size] for size in sizes if size in SIZES]


def miniature_study() -> dict:
    """Return the keys of the study with small images, models and numbers."""
    study = yaml.safe_load(STUDIES["imagenet100"].read_text())
    study |= {"gpus": 0, "classes": "own/classes.csv", "image_size": 24, "images_per_shard": 32}
    for name, row in study["generators"].items():
        del row["revision"], row["compile"]
        row |= {"model": MODELS[name], "size": 32, "steps": 2, "precision": "float32"}
    del study["recipes"]["captions"]["revision"]
    study["recipes"]["captions"] |= {"model": "./released/blip2", "max_tokens": 6}
    for row in study["sources"].values():
        if row["kind"] == "real":
            row["images"] = SIZES[row["images"]]
        elif row["kind"] == "synthetic":
            row["images"] = {scale: SIZES[count] for scale, count in row["images"].items()}
        else:
            row["parts"][0]["images"] = SIZES[row["parts"][0]["images"]]
    classifiers = study["classifiers"]
    del classifiers["compile"]
    classifiers["architectures"]["vit_small"] |= {"patch_size": 8, "width": 16, "depth": 1}
    classifiers["architectures"]["vit_small"]["heads"] = 2
    classifiers |= {"image_size": 16, "batch_size": 8, "runs_per_job": "all"}
    classifiers["iterations"] = {size: size for size in sorted(set(SIZES.values()))}
    for row in study["experiments"].values():
        row |= {"sizes": small_sizes(row["sizes"]), "seeds": row["seeds"][:2]}
    for law in study["laws"].values():
        law["sizes"] = small_sizes(law["sizes"])
    study["scores"]["images"] = 16
    study["scores"]["reference"]["size"] = SIZES[study["scores"]["reference"]["size"]]
    study["figures"]["samples"]["classes"] = [0, 1, 2, 3]
    return study


def write_sets(folder) -> None:
    """Write data sets with classes that the study does not have, as they are published."""
    classes = pd.read_csv(ROOT / "data/imagenet_classes.csv")
    (folder / "own").mkdir()
    table = classes.loc[CLASSES].assign(class_id=range(len(CLASSES)))
    table.to_csv(folder / "own/classes.csv", index=False)
    rows = pd.read_csv(folder / "data/datasets.csv", dtype=str)
    rows.assign(images=None).to_csv(folder / "data/datasets.csv", index=False)
    wnids = classes.loc[[*CLASSES, *OTHERS], "wnid"]
    fake.class_folders(folder / "sets/train", dict.fromkeys(wnids, 9))
    fake.class_tars(folder / "sets/val", [[*CLASSES, *OTHERS, *CLASSES], CLASSES])
    fake.class_folders(folder / "sets/sketch", dict.fromkeys(wnids, 2), extension="jpg")
    fake.class_folders(folder / "sets/v2", dict.fromkeys(map(str, [*CLASSES, *OTHERS]), 2))


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Workflow:
    """A complete run of the miniature."""
    workflow = Workflow.create(tmp_path_factory.mktemp("run") / "workflow", copied=("data",))
    workflow.study.unlink()
    write_sets(workflow.folder)
    for name in MODELS:
        tiny_pipelines.save(name, workflow.folder / "released" / name)
    tiny_models.save_blip2(workflow.folder / "released/blip2")
    study = yaml.safe_dump(miniature_study(), sort_keys=False)
    (workflow.folder / "studies/imagenet100.yaml").write_text(study)
    (workflow.folder / "config.yaml").write_text(
        f"study: imagenet100\nhardware: laptop\npaths: {json.dumps(PATHS)}\nshow_plan: false\n"
    )
    workflow.run()
    return workflow


def test_every_figure_and_table_is_made(finished):
    figures = figure_settings.names_of(load_study(STUDIES["imagenet100"]).figures)
    for name in figures:
        path = finished.folder / f"figures/imagenet100/{name}"
        assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF"), name
        assert len(pd.read_csv(path.with_suffix(".csv"))) > 0, name
    for name in ("supervised", "ood", "laws", "configurations", "prompts", "hyperparameters"):
        assert len(pd.read_csv(finished.folder / f"tables/imagenet100/{name}.csv")) > 0, name
    assert finished.planned() == {}


def test_real_images_are_of_the_classes_of_the_study(finished):
    names = pd.read_csv(finished.folder / "own/classes.csv")["name"]
    manifests = finished.folder / "results/imagenet100/data"
    for split in ("imagenet_train", "imagenet", "imagenet_sketch", "imagenet_v2"):
        table = pd.read_parquet(manifests / split / "00000.parquet")
        assert set(table["class_id"]) == {0, 1, 2, 3}, split
        assert table["class_name"].tolist() == names[table["class_id"]].tolist()
    tars = pd.read_parquet(manifests / "imagenet/00000.parquet")
    assert tars["class_id"].tolist() == [0, 1, 2, 3] * 3


def test_models_have_an_output_for_each_class_of_the_study(finished):
    metrics = finished.folder / "results/imagenet100/metrics"
    tables = [pd.read_parquet(path) for path in metrics.rglob("*.parquet")]
    classes = pd.concat(tables)["class_id"].dropna()
    assert sorted(classes.unique()) == [0, 1, 2, 3]

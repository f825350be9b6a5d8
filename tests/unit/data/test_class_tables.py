"""The tables of the paper's data sets: what must hold of their cells, and that packages and
torchvision agree with them.
"""

import inspect
import json
import re
from pathlib import Path

import pandas as pd
import pytest
import timm.data
import torchvision.datasets
import yaml
from open_clip import IMAGENET_CLASSNAMES

from synscale.data import class_tables
from synscale.data.datasets import DataSet, torchvision_sets
from synscale.study.checks import data as data_checks

ROOT = Path(__file__).parents[3]
IMAGENET = pd.read_csv(ROOT / "data/imagenet_classes.csv")
SUBSETS = pd.read_csv(ROOT / "data/imagenet_subsets.csv")
DATASETS = pd.read_csv(ROOT / "data/datasets.csv", keep_default_na=False).set_index("id")
SETS = pd.read_csv(ROOT / "data/downstream/sets.csv").set_index("set")
TEMPLATES = yaml.safe_load((ROOT / "data/downstream/templates.yaml").read_text())


def table(name: str) -> pd.DataFrame:
    return pd.read_csv(
        ROOT / f"data/downstream/{name}.csv", dtype={"label": str}, keep_default_na=False
    )


def test_imagenet_classes_have_ids_names_and_words():
    assert IMAGENET["class_id"].tolist() == list(range(1000))
    assert (
        IMAGENET["wnid"].str.fullmatch(r"n\d{8}").all()
        and IMAGENET["wnid"].is_unique
        and IMAGENET["wnid"].is_monotonic_increasing
    )
    for column in IMAGENET.columns:
        assert not IMAGENET[column].isna().any()
        assert (
            IMAGENET[column].astype(str) == IMAGENET[column].astype(str).str.strip()
        ).all() and (IMAGENET[column].astype(str) != "").all()
    twice = IMAGENET.groupby("name")["class_id"].agg(list)
    assert twice[twice.str.len() > 1].to_dict() == {"missile": [657, 744], "sunglasses": [836, 837]}
    assert data_checks.check_class_table(str(ROOT / "data/imagenet_classes.csv")) == []


def test_class_table_needs_the_columns_of_a_study(tmp_path):
    IMAGENET.drop(columns="hypernyms").to_csv(tmp_path / "classes.csv", index=False)
    (fault,) = data_checks.check_class_table(str(tmp_path / "classes.csv"))
    assert "columns are ['class_id', 'description', 'name', 'synonyms', 'wnid']" in fault
    assert "class_id, name, description, hypernyms must be among them" in fault


def test_hypernyms_of_imagenet_say_more_than_the_name():
    for _, row in IMAGENET.iterrows():
        above = row["hypernyms"].split(", ")
        assert row["name"].lower() not in [word.lower() for word in above] and len(
            set(above)
        ) == len(above)
    of = IMAGENET.set_index("name")["hypernyms"]
    assert (
        of["tench"] == "cyprinid"
        and of["tank"] == "military vehicle, armored vehicle, tracked vehicle"
    )
    assert of["newt"] == "salamander"  # its synset is eft, whose hypernym is the newt


def test_imagenet_classes_agree_with_timm_and_open_clip():
    info = timm.data.ImageNetInfo()
    assert IMAGENET["wnid"].tolist() == info.label_names()
    assert IMAGENET["name"].tolist() == list(IMAGENET_CLASSNAMES)
    for _, row in IMAGENET.iterrows():
        words = info.label_name_to_description(row["wnid"], detailed=True)
        assert words == f"{', '.join(row['synonyms'].split(';'))}: {row['description']}"


@pytest.mark.parametrize("subset", ["imagenet_r", "imagenet_a"])
def test_subsets_are_200_classes_of_imagenet(subset):
    wnids = SUBSETS.loc[SUBSETS["subset"] == subset, "wnid"]
    assert (
        wnids.is_unique
        and len(wnids) == 200
        and wnids.isin(IMAGENET["wnid"]).all()
        and wnids.is_monotonic_increasing
    )
    assert wnids.tolist() == class_tables.synsets(subset)


def test_subset_is_stored_for_each_data_set_that_has_one():
    assert set(SUBSETS["subset"]) == set(DATASETS["subset"]) - {""}


@pytest.mark.parametrize("name", DATASETS.index)
def test_data_set_describes_what_is_expected(name):
    row = DATASETS.loc[name]
    assert row[["title", "split", "layout", "how_to_get", "licence"]].astype(bool).all()
    if name == "laion":  # dead links make its number of pairs differ from download to download
        assert not row[["images", "classes", "class_table", "subset"]].astype(bool).any()
        return
    assert int(row["images"]) > 0
    classes = pd.read_csv(ROOT / row["class_table"])
    listed = len(SUBSETS[SUBSETS["subset"] == row["subset"]]) if row["subset"] else len(classes)
    assert int(row["classes"]) == listed and classes["class_id"].tolist() == list(
        range(len(classes))
    )


@pytest.mark.parametrize(
    "layout", sorted({layout for cell in DATASETS["layout"] for layout in cell.split("|")})
)
def test_layouts_are_known_and_torchvision_takes_their_arguments(layout):
    if layout in ("folders", "webdataset", "img2dataset") or re.fullmatch(r"idx:\w+", layout):
        return
    match = re.fullmatch(r"torchvision:(\w+)\(((?:\w+=\w+(?:, )?)*)\)", layout)
    given = dict(pair.split("=") for pair in match[2].split(", ") if pair)
    inspect.signature(getattr(torchvision.datasets, match[1])).bind("folder", **given)


def test_downstream_sets_are_the_15_of_every_table():
    assert len(SETS) == 15 and set(SETS.index) == set(TEMPLATES) <= set(DATASETS.index)
    assert {path.stem for path in (ROOT / "data/downstream").glob("*.csv")} == set(SETS.index) | {
        "sets"
    }
    assert set(SETS["metric"]) == {"top1", "mean_per_class"} and SETS.notna().all(axis=None)


@pytest.mark.parametrize("name", SETS.index)
def test_names_and_templates_of_a_downstream_set(name):
    classes = table(name)
    assert (
        classes["label"].is_unique
        and classes["name"].is_unique
        and classes["class_id"].tolist() == list(range(len(classes)))
    )
    assert (classes["name"] == classes["name"].str.split().str.join(" ")).all() and (
        classes["name"] != ""
    ).all()
    assert TEMPLATES[name] and len(set(TEMPLATES[name])) == len(TEMPLATES[name])
    for template in TEMPLATES[name]:
        assert template.count("{") == template.count("}") == 1 and "a cat" in template.format(
            name="a cat"
        )


def folders(base: Path, labels: list[str]) -> None:
    for label in labels:
        (base / label).mkdir(parents=True)
        (base / label / "image_0001.jpg").touch()


def as_torchvision_orders(name: str, root: Path, labels: list[str]) -> list[str]:
    """Classes that torchvision finds in a folder laid out as the set is, with the labels in a wrong
    order.
    """
    shuffled = labels[::-1]
    if name == "food101":
        (root / "food-101/meta").mkdir(parents=True)
        (root / "food-101/images").mkdir()
        (root / "food-101/meta/test.json").write_text(
            json.dumps({label: [f"{label}/1"] for label in shuffled})
        )
        return torchvision.datasets.Food101(root, split="test").classes
    if name == "dtd":
        (root / "dtd/dtd/labels").mkdir(parents=True)
        (root / "dtd/dtd/labels/test1.txt").write_text(
            "".join(f"{label}/1.jpg\n" for label in shuffled)
        )
        return torchvision.datasets.DTD(root, split="test", partition=1).classes
    if name == "oxford_pets":
        (root / "oxford-iiit-pet/annotations").mkdir(parents=True)
        (root / "oxford-iiit-pet/images").mkdir()
        # class numbers of the set count in alphabetical order without regard to capitals
        files = {label: label.replace(" ", "_").lower() for label in shuffled}
        lines = [
            f"{files[label]}_1 {1 + sorted(labels, key=str.lower).index(label)} 1 1\n"
            for label in shuffled
        ]
        (root / "oxford-iiit-pet/annotations/test.txt").write_text("".join(lines))
        return torchvision.datasets.OxfordIIITPet(root, split="test").classes
    if name == "caltech101":
        folders(root / "caltech101/101_ObjectCategories", [*shuffled, "BACKGROUND_Google"])
        return torchvision.datasets.Caltech101(root).categories
    if name == "eurosat":
        folders(root / "eurosat/2750", shuffled)
        return torchvision.datasets.EuroSAT(root).classes
    folders(root / "country211/test", shuffled)
    return torchvision.datasets.Country211(root, split="test").classes


@pytest.mark.parametrize(
    "name", ["food101", "dtd", "oxford_pets", "caltech101", "eurosat", "country211"]
)
def test_classes_are_in_the_order_of_torchvision(name, tmp_path):
    labels = table(name)["label"].tolist()
    assert as_torchvision_orders(name, tmp_path, labels) == labels


def test_classes_are_in_the_order_of_their_reader():
    assert table("flowers102")["label"].tolist() == torchvision.datasets.Flowers102.classes
    assert table("gtsrb")["label"].tolist() == [f"{i:05d}" for i in range(43)]
    assert table("resisc45")["label"].tolist() == sorted(table("resisc45")["label"])


@pytest.mark.parametrize("name", SETS.index)
def test_labels_of_a_downstream_set_are_mapped_to_their_rows(name):
    path = ROOT / f"data/downstream/{name}.csv"
    data = DataSet(name, f"evaluation.{name}", str(path))
    labels = table(name)["label"].tolist()
    assert torchvision_sets.class_map(data, labels) == list(range(len(labels)))
    assert torchvision_sets.class_map(data, labels[::-1]) == list(range(len(labels)))[::-1]


@pytest.mark.parametrize(
    ("name", "label", "words"),
    [
        ("country211", "NA", "Namibia"),
        ("eurosat", "HerbaceousVegetation", "brushland or shrubland"),
        ("eurosat", "SeaLake", "lake or sea"),
        ("caltech101", "Faces_easy", "centered face"),
        ("caltech101", "yin_yang", "yin and yang symbol"),
        ("oxford_pets", "Egyptian Mau", "Egyptian Mau"),
        ("sun397", "jail_cell", "jail cell"),
        ("gtsrb", "00014", "stop"),
        ("fgvc_aircraft", "F/A-18", "F/A-18"),
    ],
)
def test_label_has_the_name_of_its_class(name, label, words):
    assert table(name).set_index("label").at[label, "name"] == words


def wordnet(
    folder: Path, synsets: dict[str, tuple[str, list[str], str]]
) -> tuple[class_tables.WordNet, dict[str, int]]:
    """A data.noun of `key: (lemmas, keys of hypernyms, gloss)` and where each synset starts."""
    line = "{:08d} 03 n {:02x} {} {:03d} {} | {}  \n"
    text, offsets = "", {}
    for key, (lemmas, above, gloss) in synsets.items():
        offsets[key] = len(text)
        words = lemmas.split()
        pointers = " ".join(
            [f"@ {offsets[parent]:08d} n 0000" for parent in above] + ["~ 00000000 n 0000"]
        )
        text += line.format(
            len(text),
            len(words),
            " ".join(f"{word} 0" for word in words),
            len(above) + 1,
            pointers,
            gloss,
        )
    (folder / "data.noun").write_text(text)
    return class_tables.WordNet(folder / "data.noun"), offsets


def test_wordnet_replaces_a_hypernym_of_the_same_name(tmp_path):
    synsets, at = wordnet(
        tmp_path,
        {
            "animal": ("animal beast", [], "a living thing"),
            "salamander": ("salamander", ["animal"], "an amphibian"),
            "newt": ("newt triton", ["salamander"], "a small one"),
            "pet": ("pet house_animal", ["animal"], "kept at home"),
            "eft": ("eft", ["newt", "pet"], 'a newt on land; "the eft is red"'),
        },
    )
    assert synsets[at["pet"]] == {
        "lemmas": ["pet", "house animal"],
        "gloss": "kept at home",
        "hypernyms": [at["animal"]],
    }
    assert synsets[at["eft"]]["gloss"] == "a newt on land"
    assert synsets.hypernyms(at["eft"], "eft") == ["newt", "pet"]
    assert synsets.hypernyms(at["eft"], "Newt") == ["salamander", "pet"]
    with pytest.raises(class_tables.SourceError, match=r"no synset starts at 3; use WordNet 3.0"):
        synsets[3]

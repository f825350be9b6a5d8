"""Class tables of the paper's study, from packages and WordNet (see scripts/class_tables.py)."""

import ast
import json
import zipfile
from collections.abc import Collection
from importlib.resources import files
from pathlib import Path

# Folders of Country211, which are sorted: ISO 3166-1 codes, and XK for Kosovo.
COUNTRIES = """
AD AE AF AG AI AL AM AO AQ AR AT AU AW AX AZ BA BB BD BE BF BG BH BJ BM BN BO BQ BR BS BT BW BY BZ
CA CD CF CH CI CK CL CM CN CO CR CU CV CW CY CZ DE DK DM DO DZ EC EE EG ES ET FI FJ FK FO FR GA GB
GD GE GF GG GH GI GL GM GP GR GS GT GU GY HK HN HR HT HU ID IE IL IM IN IQ IR IS IT JE JM JO JP KE
KG KH KN KP KR KW KY KZ LA LB LC LI LK LR LT LU LV LY MA MC MD ME MF MG MK ML MM MN MO MQ MR MT MU
MV MW MX MY MZ NA NC NG NI NL NO NP NZ OM PA PE PF PG PH PK PL PR PS PT PW PY QA RE RO RS RU RW SA
SB SC SD SE SG SH SI SJ SK SL SM SN SO SS SV SX SY SZ TG TH TJ TL TM TN TO TR TT TW TZ UA UG US UY
UZ VA VE VG VI VN VU WS XK YE ZA ZM ZW
"""
EUROSAT = (
    "AnnualCrop Forest HerbaceousVegetation Highway Industrial Pasture PermanentCrop Residential"
    " River SeaLake"
)
STL10 = "airplane bird car cat deer dog horse monkey ship truck"  # its class_names.txt
# CLIP's templates for RESISC45: clip-benchmark has four others.
KINDS = ("satellite", "aerial")
VIEWS = [f"{kind} {view}" for view in ("imagery", "photo", "view") for kind in KINDS]
RESISC45 = [f"{view} of {article}{{name}}." for article in ("", "a ", "the ") for view in VIEWS]
# Name among clip-benchmark's templates, if it differs from the name of the set.
TEMPLATE_NAMES = {"stanford_cars": "cars", "oxford_pets": "pets", "flowers102": "flowers"}
TEMPLATES = (
    "food101 cifar10 cifar100 sun397 stanford_cars fgvc_aircraft dtd oxford_pets caltech101"
    " flowers102 stl10 eurosat gtsrb country211"
)
RESISC45_LABELS = "tensorflow_datasets/datasets/resisc45/resisc45_dataset_builder.py"
SUN397_LABELS = "tensorflow_datasets/image_classification/sun397_labels.txt"


class SourceError(ValueError):
    """A package or file that is not the one that the tables are made from."""


class WordNet:
    """The nouns of WordNet 3.0, read from its file data.noun (format: wndb(5WN))."""

    def __init__(self, path: str | Path):
        self.data = Path(path).read_bytes()

    def __getitem__(self, offset: int) -> dict:
        """Return lemmas, gloss without examples, and offsets of the direct hypernyms of a synset.

        The offset is where its line starts, in bytes.
        """
        line = self.data[offset : self.data.index(b"\n", offset)].decode()
        if not line.startswith(f"{offset:08d} "):
            fix = "use WordNet 3.0; other versions have other offsets"
            raise SourceError(f"data.noun: no synset starts at {offset}; {fix}")
        head, gloss = line.split("|", 1)
        fields = head.split()
        words = int(fields[3], 16)
        pointers = fields[5 + 2 * words :]
        # Four fields each: symbol, offset, part of speech, source and target.
        quadruples = zip(pointers[::4], pointers[2::4], pointers[1::4], strict=False)
        return {
            "lemmas": [word.replace("_", " ") for word in fields[4 : 4 + 2 * words : 2]],
            "gloss": gloss.split('; "')[0].strip(),
            "hypernyms": [int(at) for *kind, at in quadruples if kind == ["@", "n"]],
        }

    def hypernyms(self, offset: int, name: str) -> list[str]:
        """Return the first lemma of each direct hypernym.

        One that has the class's name among its lemmas ("newt" of eft) says nothing more than the
        name: its hypernyms take its place (our choice).

        Parameters
        ----------
        offset : int
            Where the synset starts, in bytes.
        name : str
            Name of the class.
        """
        lemmas_above: list[str] = []
        for parent in self[offset]["hypernyms"]:
            lemmas = self[parent]["lemmas"]
            same = name.lower() in (lemma.lower() for lemma in lemmas)
            lemmas_above += self.hypernyms(parent, name) if same else lemmas[:1]
        return list(dict.fromkeys(lemmas_above))


def synsets(subset: str) -> list[str]:
    """Return WordNet ids of `imagenet`, `imagenet_r` or `imagenet_a`, in order of class ids."""
    return (files("timm.data._info") / f"{subset}_synsets.txt").read_text().split()


def imagenet(wordnet: WordNet) -> list[dict]:
    """Return the rows of the class table of ImageNet."""
    import synscale.runtime.torch_setup  # noqa: F401

    from open_clip import IMAGENET_CLASSNAMES

    rows = []
    classes = zip(synsets("imagenet"), IMAGENET_CLASSNAMES, strict=True)
    for class_id, (wnid, name) in enumerate(classes):
        offset = int(wnid[1:])
        synset = wordnet[offset]
        row = {"class_id": class_id, "wnid": wnid, "name": name}
        row |= {"synonyms": ";".join(synset["lemmas"]), "description": synset["gloss"]}
        rows.append(row | {"hypernyms": ", ".join(wordnet.hypernyms(offset, name))})
    return rows


def subsets() -> list[dict]:
    """Return the classes of the subsets of ImageNet."""
    names = ("imagenet_r", "imagenet_a")
    return [{"subset": name, "wnid": wnid} for name in names for wnid in synsets(name)]


def selection(classes: list[dict], wnids: Collection[str]) -> list[dict]:
    """Return the classes with these WordNet ids in the order of the table, numbered from 0.

    Parameters
    ----------
    classes : list of dict
        Rows of the class table of ImageNet.
    wnids : collection of str

    Raises
    ------
    SourceError
        If an id is not in the table.
    """
    rows = [row for row in classes if row["wnid"] in wnids]
    if missing := set(wnids) - {row["wnid"] for row in rows}:
        fix = "correct data/imagenet100_wnids.csv"
        raise SourceError(f"no class of ImageNet has the ids {', '.join(sorted(missing))}; {fix}")
    return [row | {"class_id": class_id} for class_id, row in enumerate(rows)]


class Packages:
    """Wheels in a folder; they are read, not installed or run."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    def text(self, wheel: str, file: str) -> str:
        """Return a file of a wheel.

        Parameters
        ----------
        wheel : str
            Name of the wheel.
        file : str
            Path in it.
        """
        wheels = sorted(self.folder.glob(f"{wheel}-*.whl"))
        if len(wheels) != 1:
            detail = f"{len(wheels)}, expected 1"
            fix = "see the head of scripts/class_tables.py"
            raise SourceError(f"{self.folder}: wrong number of {wheel}-*.whl ({detail}); {fix}")
        with zipfile.ZipFile(wheels[0]) as archive:
            return archive.read(file).decode()

    def constant(self, wheel: str, file: str, name: str) -> list[str]:
        """Return a list that a module defines, read without running it.

        Parameters
        ----------
        wheel, file, name : str
            Package, module in it, and variable.
        """
        for node in ast.parse(self.text(wheel, file)).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == name:
                return list(ast.literal_eval(node.value))
        raise SourceError(f"{wheel}: no {name} in {file}; use the version that the head names")

    def categories(self, name: str) -> list[str]:
        """Return the classes of a data set in mmpretrain."""
        file = "mmpretrain/datasets/categories.py"
        return self.constant("mmpretrain", file, f"{name}_CATEGORIES")

    def clip_benchmark(self, file: str) -> dict:
        """Return a table of clip-benchmark."""
        return json.loads(self.text("clip_benchmark", f"clip_benchmark/datasets/en_{file}.json"))


def spaced(labels: list[str]) -> dict[str, str]:
    """Map labels to names, if CLIP's names are the labels with spaces."""
    return {label: label.replace("_", " ").replace("/", " ") for label in labels}


def same(labels: list[str]) -> dict[str, str]:
    """Map labels to names, if they are the same."""
    return {label: label for label in labels}


def downstream(packages: Packages) -> dict[str, dict[str, str]]:
    """Return set -> label -> name, in the order of the integer labels that torchvision gives.

    Those of RESISC45 are its sorted folders.
    """
    import synscale.runtime.torch_setup  # noqa: F401

    from torchvision.datasets import Flowers102

    names = packages.clip_benchmark("classnames")
    sun397 = packages.text("tensorflow_datasets", SUN397_LABELS).split()
    resisc45 = packages.constant("tensorflow_datasets", RESISC45_LABELS, "_LABELS")
    # The first category is the background. One name has two spaces in a row.
    caltech101 = [" ".join(name.split()) for name in names["caltech101"][1:]]
    return {
        # Sorted as torchvision does: cheese_plate before cheesecake.
        "food101": spaced(sorted(packages.categories("FOOD101"))),
        "cifar10": spaced(packages.categories("CIFAR10")),
        "cifar100": spaced(packages.categories("CIFAR100")),
        "sun397": spaced([label.removeprefix(f"/{label[1]}/") for label in sun397]),
        "stanford_cars": same(packages.categories("STANFORDCARS")),
        "fgvc_aircraft": same(packages.categories("FGVCAIRCRAFT")),
        "dtd": spaced(packages.categories("DTD")),
        "oxford_pets": same(names["pets"]),
        "caltech101": dict(zip(packages.categories("CALTECH101")[1:], caltech101, strict=True)),
        "flowers102": dict(zip(Flowers102.classes, names["flowers"], strict=True)),
        "stl10": spaced(STL10.split()),
        "eurosat": dict(zip(EUROSAT.split(), names["eurosat"], strict=True)),
        "resisc45": spaced(resisc45),
        "gtsrb": {f"{i:05d}": name for i, name in enumerate(names["gtsrb"])},
        "country211": dict(zip(COUNTRIES.split(), names["country211"], strict=True)),
    }


def templates(packages: Packages) -> dict[str, list[str]]:
    """Return CLIP's templates of each set."""
    texts = packages.clip_benchmark("zeroshot_classification_templates")
    table = {"resisc45": RESISC45}
    for name in TEMPLATES.split():
        of_set = texts[TEMPLATE_NAMES.get(name, name)]
        table[name] = [text.replace("{c}", "{name}") for text in of_set]
    return dict(sorted(table.items()))

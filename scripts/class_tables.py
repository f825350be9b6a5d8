r"""Write the class tables of the paper's study.

    python -m scripts.class_tables --packages FOLDER --wordnet data.noun

No run needs this: the tables are kept in the repository. It documents where every cell comes from.

    pip download --no-deps --dest FOLDER clip-benchmark==1.6.2 mmpretrain==1.2.0 \
        tensorflow-datasets==4.9.10
    apt-get download wordnet-base=1:3.0-37
    dpkg -x wordnet-base*.deb FOLDER      # data.noun is in FOLDER/usr/share/wordnet

ImageNet: order and WordNet ids of timm 1.0.31; names of open_clip 3.3.0 (`IMAGENET_CLASSNAMES`),
which are, entry by entry, those that the paper's authors evaluate with
(google-research/syn-rep-learn, Scaling/clip/imagenet_labels.json); lemmas, glosses and hypernyms of
WordNet 3.0, whose offsets the ids are. The 200 classes of ImageNet-R and -A: timm.

ImageNet-100: the WordNet ids of imagenet100_wnids.csv, which are those of `imagenet100.txt` in
HobbitLong/CMC at bc687a2 (Tian et al., Contrastive Multiview Coding, ECCV 2020, whose first author
is the last one of the paper that this project reproduces).

Downstream sets: names and templates are those that CLIP was published with (openai/CLIP at d05afc4,
data/prompts.md, MIT), taken from packages that carry them. `label` is what the data set calls the
class, so that a reader can compare its order with the table's. data/downstream/README.md says how
each order was checked.
"""

import argparse
from pathlib import Path

import pandas as pd
import yaml

from synscale.data import class_tables
from synscale.runtime.atomic import atomic_write

WNIDS = Path("data/imagenet100_wnids.csv")


def write_csv(path: Path, rows: list[dict]) -> None:
    with atomic_write(path) as (part,):
        pd.DataFrame(rows).to_csv(part, index=False)


def write_tables(folder: Path, packages: class_tables.Packages, wordnet: str) -> None:
    classes = class_tables.imagenet(class_tables.WordNet(wordnet))
    write_csv(folder / "imagenet_classes.csv", classes)
    wnids = pd.read_csv(WNIDS)["wnid"].tolist()
    write_csv(folder / "imagenet100_classes.csv", class_tables.selection(classes, wnids))
    write_csv(folder / "imagenet_subsets.csv", class_tables.subsets())
    for name, classes in class_tables.downstream(packages).items():
        table = enumerate(classes.items())
        rows = [{"class_id": i, "name": text, "label": label} for i, (label, text) in table]
        write_csv(folder / f"downstream/{name}.csv", rows)
    texts = class_tables.templates(packages)
    with atomic_write(folder / "downstream/templates.yaml") as (part,):
        text = yaml.safe_dump(texts, sort_keys=False, width=160, allow_unicode=True)
        part.write_text(text, encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    options.add_argument("--packages", required=True, help="folder with the three wheels")
    options.add_argument("--wordnet", required=True, help="file data.noun of WordNet 3.0")
    options.add_argument("--output", default="data", type=Path, help="folder of the tables")
    return options


def main(arguments: list[str] | None = None) -> None:
    args = parser().parse_args(arguments)
    try:
        write_tables(args.output, class_tables.Packages(args.packages), args.wordnet)
    except class_tables.SourceError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()

"""Write a study about your own images: a class table and a study file, to be edited.

python -m scripts.new_study birds --train photos/train --test photos/test
    --generator owner/name@revision | --generator ./folder | --train-generator
    [--classes CSV] [--image-size 128] [--gpus 1]

The folders have one folder for each class, or WebDataset tars; a row of data/datasets.csv works
too. Without --test, a tenth of the training images is held out. Nothing is overwritten.
"""

import argparse
import json
import re
import tempfile
from collections import Counter
from pathlib import Path

import pandas as pd

from scripts import plan as plan_command
from synscale.data import inspection
from synscale.data.datasets import DataSetError, class_names
from synscale.data.datasets.held_out import held_out_images
from synscale.data.datasets.registry import first_few
from synscale.data.inspection import Inspection
from synscale.runtime.atomic import atomic_write
from synscale.study import scaffold
from synscale.study.checks import training_sets
from synscale.study.class_table import TEXTS
from synscale.study.load import StudyError, load_study
from synscale.study.models.base import COMMIT, NAME, is_path

COLUMNS = ["class_id", "name", "label"]
# A diffusion model of pixels, trained by the workflow.
SMALL_GENERATOR = (
    "{{kind: diffusion, data: for_generator, images: {images}, channels: [32, 64], text_width: 32, "
    "text_layers: 1, sampler: dpmsolver++, steps: 8, threshold: true, training: {{iterations: "
    "3000, batch_size: 64, learning_rate: 2.0e-3, ema_decay: 0.99, caption_dropout: 0.15}}}}"
)
LARGEST, UNIT = training_sets.LARGEST, training_sets.UNIT  # pixels a side of what it generates
HELD_OUT = 0.1  # fraction of the training images, without --test


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    options.add_argument("name", help="name of the study: small letters, digits and _")
    options.add_argument("--train", required=True, help="folder or tars of the training images")
    options.add_argument("--test", help="folder or tars of the test images")
    options.add_argument("--classes", help="CSV of the classes, if no folders name them")
    kind = options.add_mutually_exclusive_group(required=True)
    kind.add_argument("--generator", help="owner/name@revision on the model hub, or ./folder")
    kind.add_argument(
        "--train-generator",
        action="store_true",
        help="train a small generator on half of the images",
    )
    options.add_argument("--image-size", type=int, help="pixels a side; by default from the images")
    options.add_argument("--gpus", type=int, default=0, help="GPUs of a job; 0: CPU")
    return options


def class_table(args: argparse.Namespace) -> pd.DataFrame:
    """Return the class table: that of --classes, or the folders of the training images.

    Raises
    ------
    SystemExit
        If there is none, or if it has one class only.
    """
    if args.classes:
        table = pd.read_csv(args.classes, dtype=str, keep_default_na=False)
    else:
        try:
            labels = class_names.class_folders(Path(args.train))
        except ValueError as error:
            raise SystemExit(f"--train: {error}; otherwise name them with --classes") from None
        table = pd.DataFrame(class_names.class_rows(labels), columns=COLUMNS)
    for column in TEXTS:  # for recipes that are to be added
        table[column] = table.get(column, "")
    if len(table) < 2:
        names = ", ".join(table["name"]) or "none"
        raise SystemExit(f"--train: one class only ({names}); a classifier needs two or more")
    return table


def check_images(args: argparse.Namespace, table: str) -> Inspection:
    """Return what the training images are, after checks of them and of the test images.

    Raises
    ------
    SystemExit
        If images are missing or broken, or if test images are among the training images.
    """
    seen = {}
    for option, section in (("train", "training"), ("test", "evaluation")):
        path = getattr(args, option)
        if path is None:
            continue
        try:
            seen[option] = inspection.inspect(path, table, section)
        except DataSetError as error:
            raise SystemExit(f"--{option}: {error}") from None
        print(f"{path}: {seen[option].summary()}")
        if broken := seen[option].broken:
            fix = "replace or remove them"
            raise SystemExit(
                f"--{option}: {len(broken)} broken images ({first_few(broken)}); {fix}"
            )
    if args.test and (shared := inspection.shared_images(args.train, args.test, table)):
        detail = f"{len(shared)}, such as {first_few(shared, 3)}"
        raise SystemExit(
            f"--test: images that are training images ({detail}); remove them from one"
        )
    return seen["train"]


def generator_of(args: argparse.Namespace, image_size: int, images: int) -> str:
    """Return the value of the generator in the study. Raises SystemExit for a bad --generator.

    Parameters
    ----------
    args : Namespace
    image_size : int
    images : int
        Number of images that a generator is trained on here.
    """
    if args.train_generator:
        return SMALL_GENERATOR.format(images=images)
    model, _, revision = args.generator.partition("@")
    is_folder = model.startswith(("/", "."))
    if not is_folder and not re.fullmatch(COMMIT, revision):
        expected = "owner/name@ and the 40 hex digits of a commit, or a folder such as ./model"
        raise SystemExit(f"--generator {args.generator}: no revision (expected {expected})")
    version = "" if is_folder else f", revision: '{revision}'"
    size = max(64, image_size) if is_folder else 512
    keys = f"kind: pretrained, model: {model}{version}, size: {size}, steps: 30"
    return f"{{{keys}}} # size: pixels a side that it generates"


def place(path: str) -> str:
    """Return a path as the study names it, with a / in it; names of data sets are unchanged."""
    return f"./{path}" if not is_path(path) and Path(path).is_dir() else path


def split_images(args: argparse.Namespace, images: Inspection) -> tuple[int, int]:
    """Return how many images classifiers and a generator are trained on, without held-out ones."""
    usable = images.images
    if args.test is None:
        usable -= held_out_images(Counter(images.counts), HELD_OUT)
    for_generator = usable // 2 if args.train_generator else 0
    return usable - for_generator, for_generator


def data_lines(args: argparse.Namespace, pool: int) -> tuple[str, str]:
    """Return the lines of the sections data.training and data.evaluation.

    Parameters
    ----------
    args : Namespace
    pool : int
        Number of images that classifiers are trained on.
    """

    def quoted(path: str) -> str:
        return path if re.fullmatch(r"[\w./~-]+", path) else json.dumps(path, ensure_ascii=False)

    train = quoted(args.train)
    training = [f"    real: {{dataset: {train}}}"]
    if args.train_generator:
        training = [
            f"    real: {{dataset: {train}, part: [0, {pool}]}}",
            f"    for_generator: {{dataset: {train}, part: [{pool}, null]}} # no other images",
        ]
    test = f"{{kind: held_out, of: real, fraction: {HELD_OUT}}}"
    if args.test:
        test = f"{{dataset: {quoted(args.test)}}}"
    return "\n".join(training), f"    test: {test}"


def side_of(args: argparse.Namespace, images: Inspection) -> int:
    """Return the pixels a side of the study: those asked for, or such as fit the images."""
    side = args.image_size or scaffold.side_of(images.median_side)
    if args.image_size or not args.train_generator:
        return side
    return min(LARGEST, max(UNIT, side - side % UNIT))


def main(arguments: list[str] | None = None) -> None:
    """Write the class table and the study file, and print the plan."""
    args = parser().parse_args(arguments)
    study, classes = Path(f"studies/{args.name}.yaml"), Path(f"data/{args.name}_classes.csv")
    if not re.fullmatch(NAME, args.name):
        fix = "use small letters, digits and _, with a letter first"
        raise SystemExit(f"{args.name}: the name of a study is part of paths; {fix}")
    for path in (study, classes):
        if path.exists():
            raise SystemExit(f"{path}: exists already; choose another name, or remove it")
    args.train, args.test = place(args.train), args.test and place(args.test)
    table = class_table(args)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, classes.name)
        table.to_csv(path, index=False)
        images = check_images(args, str(path))
    side = side_of(args, images)
    pool, for_generator = split_images(args, images)
    training, evaluation = data_lines(args, pool)
    kind = "trained" if args.train_generator else "pretrained"
    try:
        text = scaffold.text(
            scaffold.Plan(
                name=args.name,
                classes=len(table),
                images=pool,
                image_size=side,
                channels=1 if images.is_grey else 3,
                gpus=args.gpus,
                training=training,
                evaluation=evaluation,
                generator=generator_of(args, side, for_generator),
                kind=kind,
            )
        )
    except scaffold.ScaffoldError as error:
        used = "" if pool == images.images else f"; {pool} of {images.images} are for classifiers"
        raise SystemExit(f"--train: {error}{used}") from None
    with atomic_write(classes, study) as (table_part, study_part):
        table.to_csv(table_part, index=False)
        study_part.write_text(text, encoding="utf-8")
    try:
        load_study(study)
    except StudyError as error:
        raise SystemExit(f"{error}\n{study} was written; correct it") from None
    figure = f"figures/{args.name}/exchange_rate.pdf"
    print(f"\nWrote {study} and {classes}. The compute plan of {figure}:\n")
    plan_command.main(["--target", figure, "--allow-over-budget"])
    print(f"\nNext: edit {study}, then run\n  snakemake {figure}")


if __name__ == "__main__":
    main()

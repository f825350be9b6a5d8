"""One shard of the real images of a split of the study, as a shard."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from synscale.data import datasets, digits, digits_shifts, shards
from synscale.data.datasets import registry, stored_format
from synscale.prompts import recipes
from synscale.runtime import cli
from synscale.study import class_table
from synscale.workflow.settings.data import data_settings

AT_ONCE = 64  # images that a thread may be ahead of the writer


def digits_of(settings: dict) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """Images (N, 8, 8) with grey levels 0 to 16, class labels (N,), captions, and where each is
    from, of a split of scikit-learn's digits.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    form, chosen = digits.forms(bunch.target), settings["set"]
    if chosen["kind"] == "fonts":
        images, labels, made = digits_shifts.printed(chosen["angles"])
        return images, labels, digits.captions(images, labels), made
    captions = np.array(digits.captions(bunch.images, bunch.target))
    rows = np.flatnonzero(np.isin(form, chosen["forms"]))
    if chosen["kind"] == "adversarial":
        other = np.isin(form, settings["trained_on"])
        rows = rows[
            digits_shifts.misread(
                bunch.images[rows], bunch.target[rows], bunch.images[other], bunch.target[other]
            )
        ]
    images = (
        digits_shifts.outlines(bunch.images[rows])
        if chosen["kind"] == "outlines"
        else bunch.images[rows]
    )
    return (
        images,
        bunch.target[rows],
        list(captions[rows]),
        [f"form {f}, image {i}" for f, i in zip(form[rows], rows, strict=True)],
    )


def balanced_digits(labels: np.ndarray, forms: list[int], wanted: int) -> np.ndarray:
    """Indices that go round the classes as long as every class has an image left: any prefix is
    balanced.

    Shuffled within a class: in their own order the first images would all be by one writer.
    """
    found = datasets.order(labels)
    found = found[: np.unique(labels).size * np.bincount(labels)[np.unique(labels)].min()]
    if len(found) < wanted:
        raise SystemExit(
            f"a source asks for {wanted} real images, but data.classifier_training = {forms} holds {len(found)} balanced ones: name more forms or fewer images"
        )
    return found


def digits_samples(settings: dict, classes: pd.DataFrame) -> Iterator[tuple[str, np.ndarray, dict]]:
    images, labels, captions, made = digits_of(settings)
    wanted = settings["balanced"]
    order = (
        np.arange(len(labels))
        if wanted is None
        else balanced_digits(labels, settings["set"]["forms"], wanted)
    )
    pixels = np.rint(images * 255 / 16).astype(
        np.uint8
    )  # grey levels 0..16 over the range of a PNG
    start, stop = settings["range"] or (0, len(order))
    seen = np.zeros(len(classes), int)
    for place, i in enumerate(order):
        row, caption = classes.iloc[labels[i]], captions[i]
        text = recipes.alt_text(row, caption, seen[labels[i]])
        seen[labels[i]] += 1
        if start <= place < stop:
            own = {
                "image": place,
                "class_id": int(labels[i]),
                "class_name": row["name"],
                "prompt": text,
                "caption": caption,
                "origin": made[i],
            }
            yield f"{place:09d}", pixels[i], own


def file_samples(
    data: datasets.DataSet, index: str, settings: dict, threads: int
) -> Iterator[tuple[str, bytes, dict]]:
    """Images of a data set in files, decoded and stored by several threads, in order.

    An image of pairs has its text as prompt and no class (-1); one of classes has no text. Raises
    DataSetError at the end where images cannot be read, with all of their names.
    """
    start, stop = settings["range"] or (0, None)
    rows, read = datasets.rows(data, index, start, stop)
    names = [row["name"] for row in data.classes]
    stored, broken = stored_format.Stored(**settings["stored"]), []

    def one(row: dict) -> bytes | Exception:
        try:
            return stored.of(read(row))
        except Exception as error:  # Pillow's readers raise errors of many classes
            return error

    with ThreadPoolExecutor(threads) as pool:
        for first in range(0, len(rows), AT_ONCE * threads):
            some = rows[first : first + AT_ONCE * threads]
            for row, found in zip(some, pool.map(one, some), strict=True):
                if isinstance(found, Exception):
                    kind = (
                        ""
                        if isinstance(found, stored_format.BROKEN)
                        else f"{type(found).__name__}: "
                    )
                    broken.append(f"{row['origin']}: {kind}{' '.join(str(found).split())}")
                    continue
                text, class_id = row.get("text", ""), row.get("class_id", registry.NO_CLASS)
                own = {
                    "image": row["image"],
                    "class_id": class_id,
                    "class_name": "" if data.pairs else names[class_id],
                }
                yield (
                    f"{row['image']:09d}",
                    found,
                    own | {"prompt": text, "caption": text, "origin": row["origin"]},
                )
    if broken:
        mend = "get them again" + (
            f", or name them (what stands before the colon) in the file of data.{data.split}.skip"
            if data.training
            else ""
        )
        raise datasets.DataSetError(
            f"{data.place}: {len(broken)} images cannot be read: {mend}:\n" + "\n".join(broken)
        )


def main(arguments: list[str] | None = None) -> None:
    parser = cli.parser(__doc__, "split", "shard")
    parser.add_argument(
        "--classes", nargs="?", help="CSV of the classes of the split; pairs have none"
    )
    parser.add_argument(
        "--index", nargs="?", help="of a data set in files, as index_data writes it"
    )
    parser.add_argument(
        "--output", required=True, help="tar; its manifest is put beside it as .parquet"
    )
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, data_settings)

    if settings["kind"] == "sklearn_digits":
        return shards.write(args.output, digits_samples(settings, class_table.read(args.classes)))
    chosen = {key: value for key, value in settings["set"].items() if key != "kind"}
    data = datasets.of_split(args.split, args.classes, chosen)
    try:
        shards.write(
            args.output,
            file_samples(data, args.index, settings, args.threads),
            settings["stored"]["storage"],
        )
    except datasets.DataSetError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()

"""One block of the real images of a split of the study, as a shard."""

import numpy as np
import pandas as pd

from scripts.lib import command, digits, digits_sets, jobs, recipes, shards


def balanced_order(labels: np.ndarray) -> np.ndarray:
    """Indices that go round the classes, as long as every class has an image left: any prefix is balanced.

    Within a class they are shuffled (seed 0): in their own order the first images would all be by one writer.
    """
    random = np.random.default_rng(0)
    by_class = [random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    shortest = min(map(len, by_class))
    return np.stack([own[:shortest] for own in by_class], axis=1).ravel()


def digits_of(settings: dict) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """Images (N, 8, 8) with grey levels 0 to 16, class labels (N,), captions, and where each is from, of a split of scikit-learn's digits."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    form, chosen = digits.forms(bunch.target), settings["set"]
    if chosen["kind"] == "fonts":
        images, labels, made = digits_sets.printed(chosen["angles"])
        return images, labels, digits.captions(images, labels), made
    captions = np.array(digits.captions(bunch.images, bunch.target))
    rows = np.flatnonzero(np.isin(form, chosen["forms"]))
    if chosen["kind"] == "adversarial":
        other = np.isin(form, settings["trained_on"])
        rows = rows[digits_sets.misread(bunch.images[rows], bunch.target[rows], bunch.images[other], bunch.target[other])]
    images = digits_sets.outlines(bunch.images[rows]) if chosen["kind"] == "outlines" else bunch.images[rows]
    return images, bunch.target[rows], list(captions[rows]), [f"form {f}, image {i}" for f, i in zip(form[rows], rows, strict=True)]


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "split", "block")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--output", required=True, help="tar; its manifest is put beside it as .parquet")
    args, settings = command.parse(parser, arguments, jobs.data_settings)

    images, labels, captions, made = digits_of(settings)
    classes, wanted = pd.read_csv(args.classes), settings["balanced"]
    order = np.arange(len(labels)) if wanted is None else balanced_order(labels)
    if wanted is not None and len(order) < wanted:
        raise SystemExit(
            f"a source asks for {wanted} real images, but data.classifier_training = {settings['set']['forms']} holds {len(order)} balanced ones: "
            "name more forms or fewer images"
        )
    pixels = np.rint(images * 255 / 16).astype(np.uint8)  # grey levels 0..16 over the range of a PNG
    start, stop = settings["range"] or (0, len(order))
    seen = np.zeros(len(classes), int)

    def samples():
        for place, i in enumerate(order):
            row, caption = classes.iloc[labels[i]], captions[i]
            text = recipes.alt_text(row, caption, seen[labels[i]])
            seen[labels[i]] += 1
            if not start <= place < stop:
                continue
            own = {"image": place, "class_id": int(labels[i]), "class_name": row["name"], "prompt": text, "caption": caption, "origin": made[i]}
            yield f"{place:09d}", pixels[i], own

    shards.write(args.output, samples())


if __name__ == "__main__":
    main()

"""The real images of one split of the study, as a shard."""

import numpy as np
import pandas as pd

from scripts.lib import command, digits, jobs, shards


def balanced_order(labels: np.ndarray) -> np.ndarray:
    """Indices that go round the classes, as long as every class has an image left: any prefix is balanced.

    Within a class they are shuffled (seed 0): in their own order the first images would all be by one writer.
    """
    random = np.random.default_rng(0)
    by_class = [random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    shortest = min(map(len, by_class))
    return np.stack([own[:shortest] for own in by_class], axis=1).ravel()


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "split")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--output", required=True, help="tar; its manifest is put beside it as .parquet")
    args, settings = command.parse(parser, arguments, jobs.data_settings)

    from sklearn.datasets import load_digits

    bunch = load_digits()
    form = digits.forms(bunch.target)
    names = pd.read_csv(args.classes)["name"]
    words = digits.captions(bunch.images, bunch.target)
    pixels = np.rint(bunch.images * 255 / 16).astype(np.uint8)  # grey levels 0..16 over the range of a PNG
    chosen = np.flatnonzero(np.isin(form, settings["forms"]))
    wanted = settings["balanced"]
    if wanted is not None:
        chosen = chosen[balanced_order(bunch.target[chosen])]
        if len(chosen) < wanted:
            raise SystemExit(
                f"a source asks for {wanted} real images, but data.classifier_training = {settings['forms']} holds {len(chosen)} balanced ones: "
                "name more forms or fewer images"
            )

    def row(place, i):
        return {"image": place, "class_id": int(bunch.target[i]), "class_name": names[bunch.target[i]], "prompt": words[i], "form": int(form[i])}

    shards.write(args.output, ((f"{i:09d}", pixels[i], row(place, i)) for place, i in enumerate(chosen)))


if __name__ == "__main__":
    main()

"""What figures work out before they draw."""

import json
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts import plot_clip_transfer, plot_limited_real, plot_per_class, plot_samples, plot_teaser
from synscale.analysis import few_real_images
from synscale.report import plotting
from synscale.study.load import load_study
from synscale.workflow.settings import figures as figure_settings

DIGITS = load_study("studies/digits.yaml")


# -- numbers of images -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (0, "0"),
        (30, "30"),
        (3840, "3,840"),
        (10_000, "10,000"),
        (125_000, "125k"),
        (1_000_000.0, "1M"),
        (1_280_000, "1.28M"),
        (371_000_000, "371M"),
    ],
)
def test_numbers_of_images_have_room_on_an_axis(number, told):
    assert plotting.count(number) == told


@pytest.mark.parametrize(
    ("ticks", "low", "high", "labels"),
    [
        (plotting.LOSS_TICKS, 0.9, 3.5, ["1", "1.5", "2", "3"]),
        (
            plotting.LOSS_TICKS,
            1.384,
            1.391,
            ["1.384", "1.386", "1.388", "1.39"],
        ),  # none of them lies in it
        (
            plotting.TOP1_TICKS,
            9,
            101,
            ["10", "20", "30", "40", "50", "60", "70", "90"],
        ),  # there is no room for all
    ],
)
def test_a_measure_has_labels_on_any_axis(ticks, low, high, labels):
    _, axes = plt.subplots()
    axes.set(yscale="log", ylim=(low, high))
    plotting.round_ticks(axes, ticks)
    assert [label.get_text() for label in axes.get_yticklabels()] == labels
    assert axes.get_ylim() == (low, high)
    plt.close()


# -- texts -----------------------------------------------------------------------------------------------------------------------------

MATHEMATICS = [r"from $5 to $9", r"$\frac$", r"a\$b", "$a_b$ & <c>"]


def law_files(study, folder: Path) -> list[str]:
    """A file for each law of the teaser, with an exponent for each of its curves."""
    curves: dict[str, list[dict]] = {}
    for panel in figure_settings.teaser_settings(study)["panels"]:
        for law in panel["laws"]:
            named = [
                {key: curve[key] for key in ("source", "guidance", "architecture")}
                for curve in panel["curves"]
            ]
            curves[law] = [
                curve | {"k": 0.2, "k_interval": [0.1, 0.3], "sizes": [30, 60, 120]}
                for curve in named
            ]
    for law, own in curves.items():
        (folder / f"{law}.json").write_text(json.dumps({"curves": own}))
    return [str(folder / f"{law}.json") for law in curves]


def test_figure_draws_texts_of_the_user_literally(tmp_path):
    """A dollar sign begins no mathematics in a title, a tick label or a legend."""
    study = Path("studies/digits.yaml").read_text(encoding="utf-8")
    for old, text in zip(
        ("title: Supervised", "label: real and synthetic"), MATHEMATICS, strict=False
    ):
        assert old in study
        study = study.replace(old, f"{old.partition(':')[0]}: {json.dumps(text)}", 1)
    path = tmp_path / "hostile.yaml"
    path.write_text(study, encoding="utf-8")
    laws = law_files(load_study(path), tmp_path)
    outputs = [str(tmp_path / f"teaser.{format}") for format in plotting.FORMATS]
    with plt.rc_context({"svg.fonttype": "none"}):
        plot_teaser.main(["--study", str(path), "--laws", *laws, "--output", *outputs])
    tree = ElementTree.parse(outputs[1])  # noqa: S314
    drawn = [node.text for node in tree.iter() if node.tag.endswith("}text")]
    assert {MATHEMATICS[0], plotting.words(MATHEMATICS[1])} <= set(drawn)


def test_class_names_are_drawn_literally():
    names = dict(enumerate(MATHEMATICS))
    ends = pd.DataFrame(
        {"class_id": list(names), "size": 60, "loss": [1.0, 2, 3, 4], "k": 0.1, "group": "poor"}
    )
    with plt.rc_context():
        plotting.style()
        figure, axes = plt.subplots()
        axes.set(xscale="log", yscale="log", xlim=(10, 60), ylim=(0.5, 5))
        plotting.tick_sizes(axes.xaxis, [10, 60])
        plotting.round_ticks(axes, plotting.LOSS_TICKS)
        plot_per_class.name_ends(axes, ends, names)
        figure.draw_without_rendering()
        texts = figure.findobj(mpl.text.Text)
        assert not any(text.get_parse_math() for text in texts)
        assert {f"{name} 0.10" for name in names.values()} <= {text.get_text() for text in texts}
        assert not any("mathdefault" in text.get_text() for text in texts)
        plt.close(figure)


def test_legend_keeps_a_label_that_begins_with_an_underscore(tmp_path, monkeypatch):
    """Matplotlib leaves such labels out."""
    sizes = {30: [1.0, 1.2], 60: [0.9, 1.1]}
    table = pd.concat([runs(sizes).assign(source="real"), runs(sizes).assign(source="few")]).assign(
        architecture="a", guidance=None
    )
    mixture = {
        "source": "few",
        "label": "_few_",
        "real_images": 30,
        "look": figure_settings.look(DIGITS, "real_30", None),
    }
    settings = {
        "evaluation": "",
        "experiments": [],
        "architecture": "a",
        "real": "real",
        "mixtures": [mixture],
    }
    monkeypatch.setattr(
        plot_limited_real.command,
        "parse",
        lambda parser, arguments, of: (parser.parse_args(arguments), settings),
    )
    monkeypatch.setattr(
        plot_limited_real.metrics, "of_files", lambda *_: table.astype({"guidance": "Float64"})
    )
    outputs = [str(tmp_path / f"few.{format}") for format in plotting.FORMATS]
    with plt.rc_context({"svg.fonttype": "none"}):
        plot_limited_real.main(["--study", "", "--metrics", "", "--output", *outputs])
    assert plotting.words("_few_") in Path(outputs[1]).read_text(encoding="utf-8")


# -- labels of classes -----------------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 10), min_size=1, max_size=12))
def test_labels_are_apart_inside_and_in_order(values):
    values = np.array(values)
    places = plot_per_class.apart(values, 0.5, 0.0, 10.0)
    order = np.argsort(values, kind="stable")
    assert (np.diff(places[order]) > 0.5 - 1e-9).all()
    assert places.min() > -1e-9
    assert places.max() < 10 + 1e-9


def test_labels_that_do_not_meet_stay_where_they_are():
    assert plot_per_class.apart(np.array([3.0, 1.0, 2.0]), 0.5, 0, 10) == pytest.approx([3, 1, 2])
    assert plot_per_class.apart(np.array([1.0, 1.0]), 0.5, 0, 10) == pytest.approx([0.75, 1.25])


# -- images ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "side", "kept"), [(1, 8, 8), (3, 128, 128), (3, 256, 128)])
def test_images_are_drawn_with_as_many_pixels_as_a_figure_has_room_for(channels, side, kept):
    images = np.zeros((3, channels, side, side), np.uint8)
    images[1, 0] = 200
    drawn = plot_samples.thumbnails(images)
    assert drawn.shape == (3, channels, kept, kept)
    assert (drawn[1, 0] == 200).all() and not drawn[[0, 2]].any()
    gap = max(1, kept // 24)
    sheet = plot_samples.mosaic(drawn, columns=2)
    assert sheet.shape == (2 * kept + gap, 2 * kept + gap, channels)
    assert (sheet[:kept, kept : kept + gap] == 255).all()


def test_samples_fit_a_page():
    assert plot_samples.size(lines=7, scales=6, images=4, columns=2) == pytest.approx(
        (7.2, 7 * (5.6 / 6 + 0.1) + 0.4)
    )
    assert plot_samples.size(lines=2, scales=1, images=10, columns=5) == pytest.approx(
        (2.9, 2 * (1.3 * 2 / 5 + 0.1) + 0.4)
    )


# -- few real images -------------------------------------------------------------------------------------------------------------------


def runs(losses: dict[int, list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"size": size, "seed": seed, "cross_entropy": loss, "top1": -loss}
            for size, own in losses.items()
            for seed, loss in enumerate(own)
        ]
    )


ALONE = runs({30: [1.0, 1.2, 0.8]})
MIXED = runs({60: [0.9, 1.1, 0.7], 120: [0.5, 0.71, 0.3], 240: [0.6, 0.8, 0.4]})


@pytest.mark.parametrize("measure", ["cross_entropy", "top1"])
def test_gains_are_paired_by_seed(measure):
    found = few_real_images.of_mixture(MIXED, ALONE, 30, measure).set_index("added")
    assert found.index.tolist() == [0, 30, 90, 210]
    assert found["ratio"].tolist() == [0, 1, 3, 7]
    assert found["gain"].tolist() == pytest.approx([0, 0.1, 0.5 - 0.01 / 3, 0.4])
    assert found["gain_low"][30] == pytest.approx(
        0.1
    )  # every seed gains the same, though seeds differ by more
    assert found["helps"].tolist() == [False, True, True, True]


def test_the_best_number_ends_the_line_where_more_is_harmful():
    found = few_real_images.of_mixture(MIXED, ALONE, 30, "cross_entropy").set_index("added")
    assert found.index[found["best"]].tolist() == [90]
    assert found["ends"].all()
    noisy = pd.concat([MIXED[MIXED["size"] < 240], runs({240: [0.4, 1.0, 0.4]})])
    assert not few_real_images.of_mixture(noisy, ALONE, 30, "cross_entropy")["ends"].any()
    rising = few_real_images.of_mixture(MIXED[MIXED["size"] < 240], ALONE, 30, "cross_entropy")
    assert not rising["ends"].any()


def test_one_seed_shows_nothing():
    one = few_real_images.of_mixture(
        MIXED[MIXED["seed"] == 0], ALONE[ALONE["seed"] == 0], 30, "top1"
    )
    assert not one["helps"].any()
    assert one["gain_low"].isna().all()


def test_the_real_images_alone_must_have_been_trained_on():
    own = {"guidance": pd.array([None], "Float64")[0], "architecture": "a"}
    table = pd.concat(
        [ALONE.assign(source="real", **own), MIXED.assign(source="few", **own)]
    ).astype({"guidance": "Float64"})
    settings = {
        "real": "real",
        "architecture": "a",
        "mixtures": [{"source": "few", "real_images": 30}],
    }
    assert few_real_images.gains(table, settings)["measure"].value_counts().to_dict() == {
        "cross_entropy": 4,
        "top1": 4,
    }
    with pytest.raises(
        ValueError, match="few: 60 real images alone have not been trained on: add size 60"
    ):
        few_real_images.gains(
            table, settings | {"mixtures": [{"source": "few", "real_images": 60}]}
        )


def test_intervals_of_gains_cover():
    random = np.random.default_rng(0)
    ends = np.array([few_real_images.interval(random.normal(0.2, 1, 3)) for _ in range(2000)])
    assert ((ends[:, 0] < 0.2) & (ends[:, 1] > 0.2)).mean() == pytest.approx(0.95, abs=0.015)


# -- CLIP ------------------------------------------------------------------------------------------------------------------------------


def test_clip_models_are_compared_at_equal_numbers_of_pairs():
    models = figure_settings.transfer_settings(DIGITS)["models"]
    fair = {
        model["source"]: (model["size"], model["each"]) for model in models if not model["extra"]
    }
    assert fair == {
        "real": (480, 480),
        "diffusion_alt_texts": (480, 480),
        "real_and_synthetic": (960, 480),
    }
    assert [(model["source"], model["size"]) for model in models if model["extra"]] == [
        ("diffusion_alt_texts", 1920)
    ]


def test_clip_models_of_the_paper_are_compared_at_equal_captions():
    """The largest label of the released checkpoints: 371M captions, which are 742M images of both
    kinds.
    """
    models = figure_settings.transfer_settings(load_study("studies/imagenet.yaml"))["models"]
    found = {model["source"]: (model["size"], model["each"]) for model in models}
    assert found == {
        "laion": (371_000_000,) * 2,
        "sd_laion": (371_000_000,) * 2,
        "laion_and_synthetic": (742_000_000, 371_000_000),
    }


def test_without_a_common_number_there_is_no_comparison():
    experiments = DIGITS.experiments | {
        "clip_both": DIGITS.experiments["clip_both"].model_copy(update={"sizes": [44]})
    }
    with pytest.raises(
        figure_settings.NotInStudy, match=r"figures.clip_transfer: at no number of images"
    ):
        figure_settings.transfer_settings(DIGITS.model_copy(update={"experiments": experiments}))


def test_classes_are_counted_for_each_task():
    table = pd.DataFrame(
        {
            "evaluation": ["a", "a", "a", "a", "b"],
            "class_id": pd.array([0, 1, 1, None, None], "Int64"),
        }
    )
    assert plot_clip_transfer.classes_of(table).to_dict() == {"a": 2}


# -- teaser ----------------------------------------------------------------------------------------------------------------------------


def test_bars_are_the_laws_of_the_curves():
    curve = {"source": "made", "guidance": 1.5, "architecture": "a", "label": "made", "look": {}}
    panel = {"title": "Supervised", "laws": {"one": "first", "two": "second"}, "curves": [curve]}
    key = ("made", 1.5, "a")
    fits = {
        law: {key: {"k": k, "k_interval": [k - 1, k + 1], "sizes": [1, 2, 4]}}
        for law, k in {"one": 0.5, "two": -0.1}.items()
    }
    found = plot_teaser.bars(panel, fits)
    assert found[["group", "k", "k_low", "k_high"]].to_numpy().tolist() == [
        ["first", 0.5, -0.5, 1.5],
        ["second", -0.1, -1.1, 0.9],
    ]
    with pytest.raises(KeyError):
        plot_teaser.bars(panel | {"laws": {"three": "third"}}, fits)


def test_a_layout_that_differs_in_its_last_digit_gives_the_same_files(tmp_path):
    """As the solver's does from run to run."""
    with plt.rc_context():
        plotting.style()
        for name, off in (("one", 0.0), ("other", 1e-15)):
            figure = plt.figure()
            figure.add_axes((0.2, 0.2 + off, 0.6, 0.6)).plot([0, 1], [0, 1])
            plotting.write(figure, pd.DataFrame(), [str(tmp_path / f"{name}.svg")])
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()

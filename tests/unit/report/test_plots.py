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

from scripts import plot_clip_transfer, plot_limited_real, plot_samples, plot_teaser
from synscale.report import axes as panels
from synscale.report import class_panels, label_places, mosaics, plotting
from synscale.report.names import display_name
from synscale.study.load import load_study
from synscale.workflow.settings.curves import Curve, curve_style
from synscale.workflow.settings.figures import TeaserPanel, teaser_settings
from synscale.workflow.settings.mixed_figures import transfer_settings
from synscale.workflow.targets import NotInStudy
from tests.support.few_real_runs import few_real, runs

DIGITS = load_study("studies/digits.yaml")


# -- numbers of images -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("number", "text"),
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
def test_count_shortens_numbers_of_images(number, text):
    assert panels.count(number) == text


@pytest.mark.parametrize(
    ("ticks", "low", "high", "labels"),
    [
        (panels.LOSS_TICKS, 0.9, 3.5, ["1", "1.5", "2", "3"]),
        (
            panels.LOSS_TICKS,
            1.384,
            1.391,
            ["1.384", "1.386", "1.388", "1.39"],
        ),  # none of them is in it
        (
            panels.TOP1_TICKS,
            9,
            101,
            ["10", "20", "30", "40", "50", "60", "70", "90"],
        ),  # there is no room for all
    ],
)
def test_label_measure_labels_any_axis(ticks, low, high, labels):
    _, axes = plt.subplots()
    axes.set(yscale="log", ylim=(low, high))
    panels.label_measure(axes, ticks)
    assert [label.get_text() for label in axes.get_yticklabels()] == labels
    assert axes.get_ylim() == (low, high)
    plt.close()


# -- texts -----------------------------------------------------------------------------------------
MATHEMATICS = [r"from $5 to $9", r"$\frac$", r"a\$b", "$a_b$ & <c>"]


def law_files(study, folder: Path) -> list[str]:
    """A file for each law of the teaser, with an exponent for each of its curves."""
    curves: dict[str, list[dict]] = {}
    fitted = {"k": 0.2, "k_interval": [0.1, 0.3], "sizes": [30, 60, 120]}
    for panel in teaser_settings(study).panels:
        keys = [
            dict(zip(("source", "guidance", "architecture"), curve.key, strict=True))
            for curve in panel.curves
        ]
        curves |= {law: [key | fitted for key in keys] for law in panel.laws}
    for law, rows in curves.items():
        (folder / f"{law}.json").write_text(json.dumps({"curves": rows}))
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
    assert {MATHEMATICS[0], display_name(MATHEMATICS[1])} <= set(drawn)


def test_class_names_are_drawn_literally():
    names = dict(enumerate(MATHEMATICS))
    ends = pd.DataFrame(
        {"class_id": list(names), "size": 60, "loss": [1.0, 2, 3, 4], "k": 0.1, "group": "poor"}
    )
    with plt.rc_context():
        plotting.set_theme()
        figure, axes = plt.subplots()
        axes.set(xscale="log", yscale="log", xlim=(10, 60), ylim=(0.5, 5))
        panels.label_sizes(axes.xaxis, [10, 60])
        panels.label_measure(axes, panels.LOSS_TICKS)
        class_panels.name_ends(axes, ends, names)
        figure.draw_without_rendering()
        texts = figure.findobj(mpl.text.Text)
        assert not any(text.get_parse_math() for text in texts)
        assert {f"{name} 0.10" for name in names.values()} <= {text.get_text() for text in texts}
        assert not any("mathdefault" in text.get_text() for text in texts)
        plt.close(figure)


def test_legend_keeps_a_label_with_a_leading_underscore(tmp_path, monkeypatch):
    """Matplotlib leaves such labels out."""
    sizes = {30: [1.0, 1.2], 60: [0.9, 1.1]}
    table = pd.concat([runs(sizes).assign(source="real"), runs(sizes).assign(source="few")]).assign(
        architecture="a", guidance=None
    )
    settings = few_real("_few_", 30, curve_style(DIGITS, "real_30", None))
    monkeypatch.setattr(
        plot_limited_real.plotting.cli,
        "parse",
        lambda parser, arguments, of: (parser.parse_args(arguments), settings),
    )
    monkeypatch.setattr(
        plot_limited_real.metrics, "of_files", lambda *_: table.astype({"guidance": "Float64"})
    )
    outputs = [str(tmp_path / f"few.{format}") for format in plotting.FORMATS]
    with plt.rc_context({"svg.fonttype": "none"}):
        plot_limited_real.main(["--study", "", "--metrics", "", "--output", *outputs])
    assert display_name("_few_") in Path(outputs[1]).read_text(encoding="utf-8")


# -- labels of classes -----------------------------------------------------------------------------
@given(st.lists(st.floats(0, 10), min_size=1, max_size=12))
def test_spread_out_keeps_labels_apart_and_in_order(values):
    values = np.array(values)
    places = label_places.spread_out(values, 0.5, 0.0, 10.0)
    order = np.argsort(values, kind="stable")
    assert (np.diff(places[order]) > 0.5 - 1e-9).all()
    assert places.min() > -1e-9
    assert places.max() < 10 + 1e-9


def test_spread_out_keeps_labels_that_do_not_overlap():
    assert label_places.spread_out(np.array([3.0, 1.0, 2.0]), 0.5, 0, 10) == pytest.approx(
        [3, 1, 2]
    )
    assert label_places.spread_out(np.array([1.0, 1.0]), 0.5, 0, 10) == pytest.approx([0.75, 1.25])


# -- images ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("channels", "side", "size"), [(1, 8, 8), (3, 128, 128), (3, 256, 128)])
def test_thumbnails_limit_the_pixels_of_a_side(channels, side, size):
    images = np.zeros((3, channels, side, side), np.uint8)
    images[1, 0] = 200
    drawn = mosaics.thumbnails(images)
    assert drawn.shape == (3, channels, size, size)
    assert (drawn[1, 0] == 200).all() and not drawn[[0, 2]].any()
    gap = max(1, size // 24)
    sheet = mosaics.mosaic(drawn, columns=2)
    assert sheet.shape == (2 * size + gap, 2 * size + gap, channels)
    assert (sheet[:size, size : size + gap] == 255).all()


def test_samples_fit_a_page():
    assert plot_samples.size(rows=7, scales=6, images=4, columns=2) == pytest.approx(
        (7.2, 7 * (5.6 / 6 + 0.1) + 0.4)
    )
    assert plot_samples.size(rows=2, scales=1, images=10, columns=5) == pytest.approx(
        (2.9, 2 * (1.3 * 2 / 5 + 0.1) + 0.4)
    )


# -- CLIP ------------------------------------------------------------------------------------------
def test_clip_models_are_compared_at_equal_numbers_of_pairs():
    models = transfer_settings(DIGITS).models
    fair = {model.curve.source: (model.size, model.each) for model in models if not model.extra}
    assert fair == {
        "real": (480, 480),
        "diffusion_alt_texts": (480, 480),
        "real_and_synthetic": (960, 480),
    }
    assert [(model.curve.source, model.size) for model in models if model.extra] == [
        ("diffusion_alt_texts", 1920)
    ]


def test_paper_clip_models_are_compared_at_equal_captions():
    """The largest label of the released checkpoints: 371M captions, which are 742M images of both
    kinds.
    """
    models = transfer_settings(load_study("studies/imagenet.yaml")).models
    result = {model.curve.source: (model.size, model.each) for model in models}
    assert result == {
        "laion": (371_000_000,) * 2,
        "sd_laion": (371_000_000,) * 2,
        "laion_and_synthetic": (742_000_000, 371_000_000),
    }


def test_clip_transfer_needs_a_common_number_of_images():
    experiments = DIGITS.experiments | {
        "clip_both": DIGITS.experiments["clip_both"].model_copy(update={"sizes": [44]})
    }
    with pytest.raises(
        NotInStudy, match=r"figures.clip_transfer: its curves share no number of images"
    ):
        transfer_settings(DIGITS.model_copy(update={"experiments": experiments}))


def test_class_counts_are_those_of_each_task():
    table = pd.DataFrame(
        {
            "evaluation": ["a", "a", "a", "a", "b"],
            "class_id": pd.array([0, 1, 1, None, None], "Int64"),
        }
    )
    assert plot_clip_transfer.class_counts(table).to_dict() == {"a": 2}


# -- teaser ----------------------------------------------------------------------------------------
def test_bars_are_the_laws_of_the_curves():
    curve = Curve("made", 1.5, "a", "made")
    panel = TeaserPanel("Supervised", {"one": "first", "two": "second"}, [curve])
    fits = {
        law: {curve.key: {"k": k, "k_interval": [k - 1, k + 1], "sizes": [1, 2, 4]}}
        for law, k in {"one": 0.5, "two": -0.1}.items()
    }
    result = plot_teaser.bars(panel, fits)
    assert result[["group", "k", "k_low", "k_high"]].to_numpy().tolist() == [
        ["first", 0.5, -0.5, 1.5],
        ["second", -0.1, -1.1, 0.9],
    ]
    with pytest.raises(KeyError):
        plot_teaser.bars(TeaserPanel("Supervised", {"three": "third"}, [curve]), fits)


def test_write_ignores_the_last_digit_of_a_layout(tmp_path):
    """As the solver's does from run to run."""
    with plt.rc_context():
        plotting.set_theme()
        for name, off in (("one", 0.0), ("other", 1e-15)):
            figure = plt.figure()
            figure.add_axes((0.2, 0.2 + off, 0.6, 0.6)).plot([0, 1], [0, 1])
            plotting.write(figure, pd.DataFrame(), [str(tmp_path / f"{name}.svg")])
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()

"""Figure `repetition`: its automatic keys, and architectures that it cannot compare."""

import pytest
import yaml

from synscale.study.checks.repetition import check_repetition
from synscale.study.load import StudyError, load_study
from synscale.workflow.runs import iterations_of
from tests.support.workflow import ROOT

STUDY = yaml.safe_load((ROOT / "studies/digits_extensions.yaml").read_text(encoding="utf-8"))
REPETITION = {
    "experiments": ["real", "repetition", "guidance"],
    "architectures": ["vit_small", "vit_short", "vit_long"],
    "evaluation": "unseen_writers",
    "source": "real",
}


def load(tmp_path, architecture: dict | None = None, **figure):
    """Load the study with changes of vit_long and of the figure."""
    rows = STUDY["classifiers"]["architectures"]
    rows = rows | {"vit_long": rows["vit_long"] | (architecture or {})}
    study = STUDY | {"classifiers": STUDY["classifiers"] | {"architectures": rows}}
    study["figures"] = study["figures"] | {"repetition": REPETITION | figure}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    return load_study(path)


def test_automatic_figure_has_architectures_that_differ(monkeypatch):
    monkeypatch.chdir(ROOT)
    figure = load_study("studies/digits_extensions.yaml").figures.repetition
    assert figure.model_dump(exclude={"guidance"}) == REPETITION


def test_factor_multiplies_the_iterations_of_a_size(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    study = load(tmp_path)
    plain = study.classifiers.iterations[480]
    names = "vit_short", "vit_small", "vit_long"
    counts = [iterations_of(study, name, 480) for name in names]
    assert counts == [plain / 4, plain, 4 * plain]


@pytest.mark.parametrize(
    ("architecture", "figure", "message"),
    [
        (
            {"width": 96},
            {},
            "figures.repetition.architectures = 'vit_long': differs from vit_small in width "
            "(expected only iterations_factor); correct it, or remove it here",
        ),
        (
            {},
            {"architectures": ["vit_small"]},
            "figures.repetition: 5 pairs of sizes and factors of iterations on real (expected 5 or "
            "more, with two factors); add architectures or sizes to its experiments, or remove "
            "the figure",
        ),
        (
            {"iterations_factor": 0},
            {},
            "classifiers.architectures.vit_long.iterations_factor = 0: input should be greater "
            "than 0",
        ),
    ],
)
def test_incomparable_architectures_are_reported(
    monkeypatch, tmp_path, architecture, figure, message
):
    monkeypatch.chdir(ROOT)
    with pytest.raises(StudyError) as error:
        load(tmp_path, architecture, **figure)
    assert message in str(error.value)


def test_clip_models_are_refused(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    study, clip = load(tmp_path), load_study("studies/digits.yaml").clip
    figure = study.figures.repetition.model_copy(update={"architectures": ["clip_small"]})
    figures = study.figures.model_copy(update={"repetition": figure})
    parts = study.sources, study.experiments, study.classifiers, clip
    [error] = check_repetition(figures, *parts)
    assert error == (
        "figures.repetition.architectures = 'clip_small': a CLIP model (expected a classifier); "
        "remove it here"
    )

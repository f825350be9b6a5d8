"""Feature spaces and measures of a study: errors, which are computed, and what they depend on."""

import pytest

from synscale.planning.cost_model import work
from synscale.study.load import StudyError, load_study, read_yaml, validate
from synscale.workflow import figure_inputs, paths
from synscale.workflow.published import settings_behind
from synscale.workflow.runs import Run
from synscale.workflow.settings.evaluation import score_settings
from synscale.workflow.settings.feature_scores import (
    feature_folder,
    feature_score_settings,
    feature_weights,
    remembered_images,
)
from synscale.workflow.targets import NotInStudy
from tests.support.workflow import ROOT, SMOKE

CLIP_RUN = {
    "kind": "clip_run",
    "source": "real",
    "architecture": "clip_tiny",
    "size": 40,
    "seed": 0,
}
SOURCE = "diffusion_class_names"
HUB = "d" * 40


def study_of(features=("reference",), measures=("density",), edit=lambda raw: None):
    raw = read_yaml(SMOKE)
    raw["scores"] |= {"features": list(features), "measures": list(measures)}
    edit(raw)
    return validate(raw, "x").named("smoke")


def few_images(raw):
    raw["scores"]["images"] = 5


def released(raw):
    for name in raw["generators"]:
        row = {"kind": "pretrained", "model": "owner/name", "revision": HUB}
        raw["generators"][name] = row | {"size": 64, "steps": 2}


CASES = [
    (["dino2"], ["density"], ["features.0.kind = 'dino2'", "did you mean 'dinov2'?"]),
    (["reference"], ["densty"], ["measures.0 = 'densty'", "did you mean 'density'?"]),
    (["reference"], [], ["scores.measures: missing; add it, or remove scores.features"]),
    ([], ["density"], ["scores.features: missing; add it, or remove scores.measures"]),
    (["dinov2", "dinov2"], ["density"], ["features.1: a second feature space 'dinov2'; remove"]),
    (["clip", CLIP_RUN], ["density"], ["features.1: a second feature space 'clip'; remove one"]),
    (["reference"], ["recall", "recall"], ["measures.1 = 'recall': is there twice; remove one"]),
    (["dinov2"], ["cmmd"], ["cmmd is defined for features of CLIP; add clip to scores.features"]),
    (
        [CLIP_RUN | {"seed": 7}],
        ["cmmd"],
        ["features.0 = {'source': 'real'", "no experiment trains it; name a run that one does"],
    ),
    (
        [{"kind": "clip", "model": "./nowhere"}],
        ["cmmd"],
        ["features.0.model = './nowhere': no such folder; fix the path"],
    ),
    (
        [{"kind": "dinov2", "model": "name"}],
        ["recall"],
        ["features.0.model = 'name': neither owner/name nor a path"],
    ),
    (
        [{"kind": "dinov2", "revison": HUB}],
        ["recall"],
        ["features.0.revison", "unknown key; did you mean 'revision'?"],
    ),
]


@pytest.mark.parametrize(("features", "measures", "messages"), CASES)
def test_errors_of_feature_spaces_are_reported(features, measures, messages, project_folder):
    with pytest.raises(StudyError) as error:
        study_of(features, measures)
    for message in messages:
        assert message in str(error.value)


def test_measure_of_more_neighbours_than_images_is_reported():
    with pytest.raises(StudyError, match=r"scores.images = 5 images \(expected more than its 5"):
        study_of(measures=["density"], edit=few_images)


def test_memorisation_of_released_generators_only_is_reported():
    with pytest.raises(StudyError, match="memorisation needs the training images of a generator"):
        study_of(measures=["memorisation"], edit=released)


def test_each_space_has_the_measures_that_it_lacks():
    measures = ["recall", "frechet_distance", "cmmd", "density"]
    study = study_of(["reference", "dinov2", CLIP_RUN], measures)
    assert study.scores.measures_in("reference") == ["density"]
    assert study.scores.measures_in("dinov2") == ["frechet_distance", "recall", "density"]
    assert study.scores.measures_in("clip") == ["frechet_distance", "cmmd", "recall", "density"]


def test_models_of_spaces_are_found():
    study = study_of(["reference", "dinov2", CLIP_RUN], ["recall", "cmmd", "density"])
    assert feature_folder(study, "reference") == paths.reference_folder(study)
    assert feature_folder(study, "dinov2") == "results/smoke/feature_models/dinov2"
    assert feature_folder(study, "clip") == "results/smoke/clip/real/clip_tiny"
    assert feature_score_settings(study, SOURCE, "clip").model == Run(
        "real", None, "clip_tiny", 40, 0
    )
    weights = feature_weights(study, "dinov2")
    assert (weights.model, weights.use) == ("timm/vit_large_patch14_dinov2.lvd142m", "classifier")
    with pytest.raises(NotInStudy, match="clip is a run of the study; nothing is downloaded"):
        feature_weights(study, "clip")
    assert feature_weights(study_of(["clip"]), "clip").use == "open_clip"


def test_only_memorisation_reads_training_images():
    study = study_of(measures=["memorisation", "density"])
    tars = remembered_images(study, SOURCE, "reference")
    assert tars == paths.generator_images(study, "diffusion")
    assert remembered_images(study_of(), SOURCE, "reference") == []


def test_measures_change_no_digest_of_other_scores():
    plain, more = load_study(SMOKE), study_of()
    for name in ("real", SOURCE):
        assert score_settings(plain, name).digest() == score_settings(more, name).digest()
    studies = {"smoke": more}
    result = f"results/smoke/scores/{SOURCE}.json"
    assert settings_behind({"smoke": plain}, result) == settings_behind(studies, result)
    result = f"results/smoke/feature_scores/reference/{SOURCE}.json"
    assert settings_behind(studies, result) and not settings_behind({"smoke": plain}, result)
    other = study_of(measures=["coverage"])
    assert settings_behind(studies, result) != settings_behind({"smoke": other}, result)


def test_figure_of_scores_reads_all_feature_spaces():
    study = study_of(["reference", "dinov2"])
    settings = figure_inputs.scores_settings(study)
    assert settings.measures == ("density_reference", "density_dinov2")
    files = figure_inputs.all_score_files(study, settings)
    assert f"results/smoke/feature_scores/dinov2/{SOURCE}.json" in files
    assert "results/smoke/scores/real.json" in files
    assert not any(file.endswith("dinov2/real.json") for file in files)
    assert figure_inputs.scores_settings(load_study(SMOKE)).measures == ()


def test_plan_prices_images_and_distances():
    study = load_study(ROOT / "studies/digits_extensions.yaml")
    job = {"source": SOURCE, "feature": "reference"}
    units = work(study, "score_features", job).units
    real, training, images, sets = 130 * 3, 130 * 5, 480, 2
    assert units["image"] == sets * images + real + training
    among = 2 * real**2 + images**2 + 3 * images * real
    assert units["pair"] == sets * (training * (images + real) + among)

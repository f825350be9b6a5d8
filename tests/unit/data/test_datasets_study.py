"""What a study may say about data sets in files, and where they lie."""

import os
import re

import pytest

from synscale.data.datasets import registry
from synscale.planning.cost_model import work
from synscale.runtime import environment
from synscale.study.load import StudyError, load_study
from synscale.workflow import preflight, prompt_inputs
from synscale.workflow.paths import image_files
from synscale.workflow.runs import run_groups
from synscale.workflow.settings import as_json
from synscale.workflow.settings import tables as table_settings
from synscale.workflow.settings.data import data_settings, index_settings
from synscale.workflow.settings.evaluation import evaluation_settings
from synscale.workflow.shards import classes_file
from synscale.workflow.targets import NotInStudy
from tests.support import fake_datasets as fake
from tests.support.workflow import ROOT

FILES = ROOT / "tests/workflow/files.yaml"


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A function that reads the study after changes of its text; its data sets lie where
    config.yaml's paths would say.
    """
    for name, place in fake.of_files_study(tmp_path).items():
        monkeypatch.setenv(f"DATA_{name.upper()}", str(tmp_path / place))
    monkeypatch.chdir(tmp_path)

    def read(*changes: tuple[str, str]):
        text = FILES.read_text()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        (tmp_path / "files.yaml").write_text(text)
        load_study.cache_clear()
        return load_study("files.yaml")

    return read


def test_study_of_files_is_valid(study):
    assert study().data.kind == "files"


def test_classifiers_are_evaluated_on_the_studys_classes(study):
    loaded = study(("evaluation: things_val, sizes", "evaluation: things_val_unmasked, sizes"))
    (source, group), *_ = run_groups(loaded)
    settings = evaluation_settings(loaded, source, group)
    assert settings.sets == ("things_val",) and settings.masked


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "data: things, images",
            "data: thing, images",
            "sources.real.data = 'thing': no such training split; did you mean 'things'?",
        ),
        (
            "data: things, images",
            "images",
            "sources.real.data: missing; name a training split of data.training: things, web",
        ),
        (
            "data: web, images",
            "data: things, images",
            "sources.real.data = 'things': also the data of sources.web",
        ),
        (
            "    things_val: {",
            "    web: {",
            "data.evaluation.web: also the name of a training split; rename one",
        ),
        (
            "classes: own/shapes.csv",
            "classes: own/shape.csv",
            "data.evaluation.shapes.classes = 'own/shape.csv': no such file",
        ),
        (
            "templates: own/templates.yaml",
            "templates: own/t.yaml",
            "data.evaluation.shapes.templates = 'own/t.yaml': no such file",
        ),
        (
            "{dataset: shapes,",
            "{dataset: forms,",
            "templates = 'own/templates.yaml': no list of texts under forms",
        ),
        (
            "{dataset: things_train}",
            "{dataset: things_train, skip: no.txt}",
            "data.training.things.skip = 'no.txt': no such file",
        ),
        (
            "recipes: {}",
            "recipes: {own: {kind: captions}}",
            "recipes.own.kind = 'captions': the real images have no captions",
        ),
        (
            "recipes: {}",
            "recipes: {own: {kind: pair_texts, source: wed}}",
            "recipes.own.source = 'wed': no such source; did you mean 'web'?",
        ),
        (
            "recipes: {}",
            "recipes: {own: {kind: pair_texts, source: real}}",
            "recipes.own.source = 'real': a source of kind 'real'",
        ),
        (
            "curves: [{source: real}]}\n",
            "curves: [{source: web}]}\n",
            "experiments.scaling.curves = 'web': pairs have no classes",
        ),
        (
            "curves: [{source: web}]}",
            "curves: [{source: real}]}",
            "experiments.clip.curves = 'real': images of classes have no texts",
        ),
        (
            "evaluation: things_val, sizes",
            "evaluation: shapes, sizes",
            "laws.supervised.evaluation = 'shapes': has other classes than classifiers know",
        ),
        (
            "  evaluation: things_val\nlaws",
            "  evaluation: shapes\nlaws",
            "scores.evaluation = 'shapes': has other classes than classifiers know",
        ),
        (
            "    shapes: {dataset: shapes,",
            "    things_val_unmasked: {dataset: shapes,",
            "things_val_unmasked: the name of another set's metrics",
        ),
        (
            "evaluation: [things_val, shapes]",
            "evaluation: [shapes_unmasked]",
            "laws.clip.evaluation = 'shapes_unmasked': no such evaluation set",
        ),
        (
            "sizes: [3, 6, 10], seeds",
            "sizes: [3, 6, 11], seeds",
            "experiments.scaling.sizes = 11: more than the 10 of sources.real.images",
        ),
    ],
)
def test_contradictory_study_is_reported(study, old, new, message):
    with pytest.raises(StudyError) as error:
        study((old, new))
    assert message in str(error.value)


def test_too_few_texts_of_pairs_are_reported(study):
    generator = "generators: {g: {kind: pretrained, model: /nowhere, size: 32, steps: 1}}"
    synthetic = "sources:\n  made: {kind: synthetic, generator: g, recipe: own, images: {1.5: 12}}"
    with pytest.raises(
        StudyError,
        match=r"sources\.made\.images = 12: more than the 9 texts of sources\.web\.images",
    ):
        study(
            ("generators: {}", generator),
            ("recipes: {}", "recipes: {own: {kind: pair_texts, source: web}}"),
            ("sources:", synthetic),
        )


def test_shards_cover_what_a_source_takes(study):
    loaded = study()
    assert image_files(loaded, "real") == [
        f"results/files/data/things/{shard:05d}.tar" for shard in range(2)
    ]
    ranges = [data_settings(loaded, "things", shard).range for shard in range(2)]
    assert ranges == [(0, 6), (6, 10)]
    assert data_settings(loaded, "things_val", 0).range is None


def test_more_images_repeat_only_the_last_shard(study):
    few = [data_settings(study(), "things", shard).digest() for shard in range(2)]
    more = study(("data: things, images: 10", "data: things, images: 12"))
    assert data_settings(more, "things", 0).digest() == few[0]
    assert data_settings(more, "things", 1).digest() != few[1]
    assert index_settings(more, "things") == index_settings(study(), "things")


def test_pairs_do_not_depend_on_the_class_table(study):
    loaded = study()
    assert [classes_file(loaded, split) for split in ("things", "web", "shapes")] == [
        "own/classes.csv",
        None,
        "own/shapes.csv",
    ]


def test_texts_of_pairs_are_in_no_table_of_prompts(study):
    pool = "texts: {kind: pair_texts, source: web}"
    loaded = study(
        ("recipes: {}", f"recipes: {{names: {{kind: class_names}}, {pool}}}"),
        ("tables:\n", "tables:\n  prompts: {each: 2}\n"),
    )
    assert table_settings.prompts_settings(loaded).recipes == ["names"]
    with pytest.raises(
        NotInStudy, match=r"recipes\.texts: has no prompts file .* the pairs of web"
    ):
        prompt_inputs.known_texts(loaded, "texts")


def test_paths_of_data_are_in_no_settings(study):
    loaded = study()
    for split in ("things", "web", "things_val", "shapes"):
        settings = [index_settings(loaded, split), data_settings(loaded, split, 0)]
        assert "sets" not in as_json(settings)


def test_paths_reach_the_environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        os, "environ", dict(os.environ) | {"DATA_OTHER": "/there", "DATA_THINGS": "/old"}
    )
    environment.prepare({"things": "sets/things"})
    assert os.environ["DATA_THINGS"] == str(tmp_path / "sets/things")
    assert os.environ["DATA_OTHER"] == "/there"


@pytest.mark.parametrize("paths", ["sets/things", ["things"], {"things:sets/things": ""}])
def test_invalid_paths_are_reported(paths):
    with pytest.raises(
        ValueError,
        match="must be names and paths of data sets, name: path, with a space after the colon",
    ):
        environment.prepare(paths)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"study": "digits", "bugdet": {"core_hours": 1}},
            "bugdet = {'core_hours': 1}: unknown key; did you mean 'budget'?",
        ),
        ({"studi": "digits"}, "studi = 'digits': unknown key; did you mean 'study'?"),
        ({"study": ["digits"]}, "study = ['digits']: must be the name of a file of studies/"),
        ({}, "study = None: must be the name"),
    ],
)
def test_unknown_key_of_the_configuration_is_reported(config, message):
    with pytest.raises(ValueError, match=re.escape(f"config.yaml: {message}")):
        environment.check(config)


def test_preflight_checks_every_data_set_that_is_read(study, monkeypatch, tmp_path):
    loaded = study()
    splits = {("s", split): True for split in ("things", "web", "things_val", "shapes")}
    assert preflight.data_set_problems({"s": loaded}, splits) == []
    (tmp_path / "sets/things/n00000002").rename(tmp_path / "sets/things/n0000002")
    monkeypatch.setenv("DATA_WEB", str(tmp_path / "gone"))
    message = "\n".join(preflight.data_set_problems({"s": loaded}, splits))
    assert (
        "studies/s.yaml: data.training.things: data set 'things_train'" in message
        and "did you mean n00000002?" in message
    )
    assert f"no such folder: {tmp_path / 'gone'}" in message
    message = preflight.data_set_problems(
        {"s": loaded}, dict.fromkeys(splits, False)
    )  # its index is made: it need only be there
    assert len(message) == 1 and "gone" in message[0]
    assert (
        preflight.data_set_problems(
            {"s": study(("data: things, images: 10", "data: things, images: 12"))},
            {("s", "things_val"): True},
        )
        == []
    )


def test_preflight_reports_too_few_images(study):
    loaded = study(("data: things, images: 10", "data: things, images: 15"))
    assert (
        "too few images (12, a source of the study takes 15)"
        in preflight.data_set_problems({"s": loaded}, {("s", "things"): True})[0]
    )


def test_plan_counts_prepared_images(study, monkeypatch):
    monkeypatch.setattr(registry, "TABLE", ROOT / "data/datasets.csv")
    loaded = study(("things_val: {dataset: things_val}", "things_val: {dataset: imagenet_v2}"))
    units = [
        work(loaded, "prepare_data", {"split": split, "shard": shard}).units
        for split, shard in (("things", "00001"), ("things_val", "00000"))
    ]
    assert units == [{"job": 1, "image": 4}, {"job": 1, "image": 10_000}]
    assert work(loaded, "index_data", {"split": "things_val"}).units == {"job": 1, "image": 10_000}

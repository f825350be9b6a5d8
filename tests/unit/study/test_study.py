"""Study files: valid ones load, and all errors of an invalid one are reported at once."""

import json

import pytest

from synscale.study import class_table, schema
from synscale.study.load import StudyError, load_study
from tests.support.study_errors import study_errors
from tests.support.workflow import ROOT, SMOKE, STUDIES


@pytest.fixture(autouse=True)
def in_project_folder(project_folder):
    """Run every test in the project's folder."""


@pytest.mark.parametrize("path", STUDIES.values(), ids=STUDIES)
def test_study_of_the_project_is_valid(path):
    assert load_study(path).title


def test_schema_for_editors_is_up_to_date():
    text = (ROOT / "studies/schema.json").read_text()
    assert text == schema.text(), "run: python -m synscale.study.schema"
    assert json.loads(text)["additionalProperties"] is False


def test_two_sources_may_have_one_recipe(tmp_path):
    (tmp_path / "good.yaml").write_text(
        SMOKE.read_text().replace("recipe: captions,", "recipe: class_names,", 1)
    )
    assert load_study(tmp_path / "good.yaml")


def test_all_errors_are_reported_at_once(tmp_path):
    errors = study_errors(
        tmp_path,
        ("title: Smoke", "titel: Smoke"),
        ("warmup: 0.1", "warmup: 2"),
        ("recipe: captions,", "recipe: none,"),
        ("sizes: [10, 20, 40]", "sizes: [10, 20, 25]"),
    )
    for key in ("titel", "title", "classifiers.warmup", "sources.masked_captions.recipe"):
        assert any(error.startswith(key) for error in errors), key


def test_one_error_is_one_line(tmp_path):
    assert study_errors(
        tmp_path,
        ("sizes: [10, 20, 40]", "sizes: [10, 20, 25, 40]"),
        ("10: 5, 20: 5,", "10: 5, 20: 5, 25: 5,"),
    ) == [
        "experiments.scaling.sizes = 25: not nested: no prefix of 25 images is balanced over "
        "10 classes; use 20"
    ]


def test_duplicate_key_is_reported_with_its_lines(tmp_path):
    again = "  real: {kind: real, images: 20}\n  masked_captions:"
    (error,) = study_errors(tmp_path, ("  masked_captions:", again))
    assert error == "line 44: duplicate key 'real' (first on line 42); rename or remove one"


RENAMED = [
    ("images_per_shard: ", "images_per_block: ", "images_per_block", "images_per_shard"),
    ("title:", "scales_per_block: all\ntitle:", "scales_per_block", "guidance_per_shard"),
    (
        "  position_std",
        "  largest_batch: 2\n  position_std",
        "classifiers.largest_batch",
        "micro_batch_size",
    ),
    ("clip:\n", "clips:\n", "clips", "clip"),
    ("title:", "released: {}\ntitle:", "released", "author_checkpoints"),
    ("min_difference:", "much:", "tables.claims.much", "min_difference"),
]


@pytest.mark.parametrize(("old", "new", "key", "name"), RENAMED)
def test_former_key_is_reported_with_its_new_name(tmp_path, old, new, key, name):
    errors = study_errors(tmp_path, (old, new))
    assert f"{key}: renamed to {name!r}; rename the key" in errors
    assert not any("missing" in error for error in errors)


def test_former_kind_is_reported_with_its_new_name(tmp_path):
    run = "{source: real, architecture: vit_tiny, size: 40, seed: 0}"
    model = "{kind: released, model: owner/name}"
    assert study_errors(tmp_path, (run, model)) == [
        "scores.reference.kind = 'released': renamed to 'pretrained'; change the value"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not YAML"),
        ("- 1", r"not a mapping of keys \(found list\)"),
        ("", r"not a mapping of keys \(found NoneType\)"),
        ("title: {{name}}", "not YAML: .*unhashable key"),
        ("title: !!python/object/apply:os.getcwd []", "not YAML"),
    ],
)
def test_file_without_a_study_is_refused(tmp_path, text, message):
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(StudyError, match=message):
        load_study(path)


def test_missing_file_is_reported_with_existing_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/digits.yaml").touch()
    with pytest.raises(StudyError, match="no such study file; studies here: digits"):
        load_study("studies/digit.yaml")


@pytest.mark.parametrize("name", ["my study", "$(touch x)", "a.b", "-n"])
def test_name_unfit_for_paths_is_refused(tmp_path, name):
    path = tmp_path / "deep" / f"{name}.yaml"
    path.parent.mkdir()
    path.write_text(SMOKE.read_text())
    with pytest.raises(StudyError, match="rename the file"):
        load_study(path)


def test_file_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes(SMOKE.read_text().replace("Smoke", "caf\xe9").encode("latin-1"))
    with pytest.raises(StudyError, match=r"not UTF-8 at byte .*; save it as UTF-8"):
        load_study(path)


CLASSES = (ROOT / "data/digits_classes.csv").read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("zero", "z\xe9ro", "not UTF-8 at byte"),
        ("9,nine", "9,", "class 9 has no name; add it"),
        ("9,nine,", "9,nine,thin, ", "class 9: more or fewer cells than columns"),
        (
            CLASSES,
            "",
            "columns are none; class_id, name, description, hypernyms must be among them",
        ),
        ("3,three", '3,"three', "not a CSV"),
        (
            '"an odd number, five or more"',
            "",
            "recipes.alt_texts.kind = 'alt_texts': {} has no hypernyms of 3 classes (5, 7, 9); "
            "add it, or remove the recipe",
        ),
    ],
)
def test_unusable_class_table_is_reported(tmp_path, old, new, message):
    table = tmp_path / "classes.csv"
    table.write_bytes(CLASSES.replace(old, new).encode("latin-1"))
    errors = study_errors(tmp_path, ("data/digits_classes.csv", str(table)))
    assert any(message.format(table) in error for error in errors), errors


def test_class_table_of_a_spreadsheet_is_read(tmp_path):
    (tmp_path / "classes.csv").write_bytes(b"\xef\xbb\xbf" + CLASSES.replace("\n", "\r\n").encode())
    (tmp_path / "good.yaml").write_text(
        SMOKE.read_text().replace("data/digits_classes.csv", str(tmp_path / "classes.csv"))
    )
    assert load_study(tmp_path / "good.yaml")
    assert class_table.read(tmp_path / "classes.csv")["class_id"].tolist() == list(range(10))


def test_class_may_be_called_7_or_none(tmp_path):
    (tmp_path / "classes.csv").write_text(
        "class_id,name,description,hypernyms\n0,7,NA,x\n1,None,null,y\n"
    )
    assert class_table.read(tmp_path / "classes.csv")[["name", "description"]].values.tolist() == [
        ["7", "NA"],
        ["None", "null"],
    ]

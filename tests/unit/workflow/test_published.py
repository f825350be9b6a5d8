"""Published results: which settings they depend on, and which rules create them."""

import re

import pytest

from synscale.runtime.archive import sha256
from synscale.runtime.atomic import write_json
from synscale.study.load import load_study
from synscale.workflow import published
from tests.support.workflow import ROOT, SMOKE

METRICS = "results/smoke/metrics/diffusion_class_names/vit_tiny.parquet"
OF_REAL = "results/smoke/metrics/real/vit_tiny.parquet"
CLIP = "results/smoke/clip_metrics/both/clip_tiny.parquet"
RESULTS = [
    METRICS,
    OF_REAL,
    CLIP,
    "results/smoke/histories/real_10/vit_tiny.csv",
    "results/smoke/clip_histories/real/clip_tiny.csv",
    "results/smoke/scores/real.json",
    "results/smoke/scores/diffusion_class_names.json",
    "results/smoke/prompts/captions.parquet",
    "results/smoke/images/diffusion_class_names/00001.tar",
    "results/smoke/images/diffusion_class_names/00001.parquet",
    "results/smoke/data/one_writer/00000.tar",
    "results/smoke/data/classifier_training/00001.tar",
    "results/smoke/generators/diffusion",
    "results/smoke/generator_histories/masked.csv",
]


@pytest.fixture
def behind(tmp_path, monkeypatch):
    """Return a function: digest of the settings behind a result, after an edit of the study."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(ROOT / "data")

    def digest(result: str, old: str = "", new: str = "") -> str | None:
        text = SMOKE.read_text()
        assert old in text
        (tmp_path / "smoke.yaml").write_text(text.replace(old, new, 1))
        load_study.cache_clear()
        return published.settings_behind({"smoke": load_study("smoke.yaml")}, result)

    return digest


@pytest.mark.parametrize("result", RESULTS)
def test_settings_behind_a_result_are_known(behind, result):
    assert re.fullmatch("[0-9a-f]{16}", behind(result))


@pytest.mark.parametrize(
    "result",
    [
        "results/smoke/laws/supervised.json",
        "results/smoke/metrics/real/vit_huge.parquet",
        "results/smoke/metrics/nothing/vit_tiny.parquet",
        "results/other/metrics/real/vit_tiny.parquet",
        "results/smoke/classifiers/real/vit_tiny",
        "results/smoke/generators/diffusion/unet/a/b.json",
    ],
)
def test_other_files_have_no_settings_behind_them(behind, result):
    assert behind(result) is None


SAMPLER = ("sampler: dpmsolver++\n    steps: 2", "sampler: dpmsolver++\n    steps: 3")
GENERATOR = ("iterations: 20", "iterations: 21")
RATE = ("learning_rate: 5.0e-3", "learning_rate: 6.0e-3")
DATA = ("classifier_training: [1]", "classifier_training: [4]")


@pytest.mark.parametrize(
    ("result", "edit"),
    [
        (METRICS, SAMPLER),
        (METRICS, GENERATOR),
        (METRICS, RATE),
        (OF_REAL, RATE),
        (OF_REAL, DATA),
        (CLIP, SAMPLER),
        (
            CLIP,
            ("batch_size: 16\n  learning_rate: 1.0e-3", "batch_size: 8\n  learning_rate: 1.0e-3"),
        ),
        ("results/smoke/scores/diffusion_class_names.json", SAMPLER),
        ("results/smoke/scores/masked_captions.json", RATE),  # the reference changes
        (
            "results/smoke/scores/real.json",
            ("one_writer: {kind: writers, forms: [2]}", "one_writer: {kind: writers, forms: [4]}"),
        ),
        ("results/smoke/prompts/captions.parquet", DATA),
        ("results/smoke/images/diffusion_class_names/00001.tar", SAMPLER),
        ("results/smoke/generators/diffusion", GENERATOR),
        (
            "results/smoke/generators/diffusion",
            ("generator_training: [0]", "generator_training: [4]"),
        ),
    ],
)
def test_edit_of_a_job_before_changes_the_settings(behind, result, edit):
    assert behind(result) != behind(result, *edit)


@pytest.mark.parametrize(
    ("result", "edit"),
    [
        (OF_REAL, SAMPLER),
        (CLIP, RATE),
        ("results/smoke/generators/diffusion", SAMPLER),
        ("results/smoke/scores/real.json", GENERATOR),
        (METRICS, ("title: Smoke", "title: Other")),
        (METRICS, ("evaluation: printed, sizes", "evaluation: misread, sizes")),  # a law
    ],
)
def test_edit_of_other_jobs_leaves_the_settings(behind, result, edit):
    assert behind(result) == behind(result, *edit)


def test_edited_class_table_changes_the_settings(behind, tmp_path):
    before = behind(METRICS)
    (tmp_path / "data").unlink()
    (tmp_path / "data").mkdir()
    for path in (ROOT / "data").glob("*.csv"):
        text = path.read_text().replace("zero", "nought")
        (tmp_path / "data" / path.name).write_text(text)
    assert before != behind(METRICS)


def test_only_unchanged_results_are_current(behind, tmp_path):
    files = {METRICS: "metrics", OF_REAL: "others", CLIP: "clip"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    record = {
        "files": {name: sha256(text.encode()) for name, text in files.items()},
        "settings_behind": {name: behind(name) for name in files},
    }
    write_json(published.record_file("smoke"), record)
    (tmp_path / OF_REAL).write_text("edited")
    (tmp_path / CLIP).unlink()
    studies = {"smoke": load_study("smoke.yaml")}
    assert published.current_results(studies) == [METRICS]
    behind(METRICS, *RATE)
    load_study.cache_clear()
    assert published.current_results({"smoke": load_study("smoke.yaml")}) == []


def test_pattern_excludes_results_and_nothing_else():
    pattern = re.compile(f"results/({published.pattern(['smoke', 'digits'], [METRICS, CLIP])})/.*")
    assert not pattern.fullmatch(METRICS)
    assert not pattern.fullmatch(CLIP)
    others = [OF_REAL, f"{METRICS}.log", "results/digits/metrics/real/vit_tiny.parquet"]
    assert all(pattern.fullmatch(path) for path in others)
    assert published.pattern(["smoke", "digits"], []) == "(smoke|digits)"

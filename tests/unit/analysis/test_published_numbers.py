"""The table of the authors' checkpoints, and what the study says of them."""

import pandas as pd
import pytest
import yaml

from scripts import tabulate_author_checkpoints
from synscale.analysis.published_numbers import compare
from synscale.study.checks.generators import check_author_checkpoints
from synscale.study.load import StudyError, load_study
from synscale.study.models.author_checkpoints import AuthorCheckpoint, PublishedNumber
from synscale.study.models.data import FilesData
from synscale.workflow.settings.author_checkpoints import (
    AuthorCheckpointTableSettings,
    PublishedCheckpoint,
    author_checkpoint_table_settings,
)
from tests.support.author_checkpoint import NUMBERS, PUBLISHED, study_with
from tests.support.workflow import ROOT, SMOKE

ROW = {"source": "theirs", "size": 10, "class_id": None, "images": 5}
METRICS = pd.DataFrame([ROW | {"evaluation": "imagenet", "top1": 0.62, "cross_entropy": 1.0}])
PUBLISHED_NUMBERS = pd.DataFrame(
    [{"id": "near", "value": "60.4", "source": "s", "confidence": "c"}]
)


def settings_of(evaluation: str) -> AuthorCheckpointTableSettings:
    numbers = {"near": PublishedNumber(evaluation=evaluation, measure="top1")}
    return AuthorCheckpointTableSettings({"theirs": PublishedCheckpoint("classifier", 10, numbers)})


def test_two_points_of_top1_are_agreement():
    table = compare(METRICS, settings_of("imagenet"), PUBLISHED_NUMBERS).set_index("measure")
    assert table.loc["top1", "within"]
    assert table.loc["top1", "difference"] == pytest.approx(1.6)


def test_published_number_without_metrics_is_named():
    message = r"author_checkpoints\.theirs\.numbers\.near: no metrics on imagenet_unmasked"
    with pytest.raises(SystemExit, match=message):
        compare(METRICS, settings_of("imagenet_unmasked"), PUBLISHED_NUMBERS)


def test_table_has_metrics_next_to_published_numbers(tmp_path):
    study = study_with(tmp_path, PUBLISHED % NUMBERS)
    sets = list(load_study(study).data.evaluation)
    rows = [
        ROW | {"evaluation": name, "top1": 0.1, "cross_entropy": 2.5, "class_id": None}
        for name in sets
    ]
    pd.DataFrame(rows).astype({"class_id": "Int64"}).to_parquet(tmp_path / "metrics.parquet")
    outputs = [str(tmp_path / f"author_checkpoints.{format}") for format in ("csv", "md", "html")]
    arguments = ["--study", str(study), "--metrics", str(tmp_path / "metrics.parquet")]
    arguments += ["--numbers", "data/paper_numbers.csv", "--output", *outputs]
    tabulate_author_checkpoints.main(arguments)
    table = pd.read_csv(outputs[0]).set_index(["evaluation", "measure"])
    assert len(table) == 2 * len(sets)
    row = table.loc[("one_writer", "top1")]
    assert (row["ours"], row["published"], row["images"]) == (pytest.approx(10), 60.4, 16_000_000)
    assert row["difference"] == pytest.approx(10 - 60.4)
    assert not row["within"]
    loss = table.loc[("one_writer", "cross_entropy")]
    assert loss["difference"] == pytest.approx(2.5 - 1.811, abs=1e-3)
    assert table.drop("one_writer")[["published", "within"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (
            "vit_b_sd_in_captions_16m_top: {evaluation: one_writer, measure: top1}",
            "did you mean 'vit_b_sd_in_captions_16m_top1'?",
        ),
        (
            "vit_b_sd_in_captions_16m_top1: {evaluation: one_writers, measure: top1}",
            ".evaluation = 'one_writers': no such evaluation set; did you mean",
        ),
        (
            "vit_b_sd_in_captions_16m_top1: {evaluation: one_writer, measure: top5}",
            "measure = 'top5': input should be 'top1' or 'cross_entropy'",
        ),
    ],
)
def test_error_has_key_value_and_fix(tmp_path, numbers, message):
    with pytest.raises(StudyError) as error:
        load_study(study_with(tmp_path, PUBLISHED % numbers))
    assert message in str(error.value)


def test_study_without_author_checkpoints_is_reported():
    with pytest.raises(ValueError, match="the study has no author_checkpoints; add"):
        author_checkpoint_table_settings(load_study(SMOKE))


def test_checkpoints_of_the_guide_are_those_of_imagenet():
    text = (ROOT / "docs/guides/check_against_the_authors.md").read_text(encoding="utf-8")
    rows = yaml.safe_load(text.split("```yaml")[1].split("```")[0])["author_checkpoints"]
    imagenet = yaml.safe_load((ROOT / "studies/imagenet.yaml").read_text(encoding="utf-8"))
    assert rows == imagenet["author_checkpoints"]
    names = ("imagenet", "imagenet_r", "imagenet_a")
    sets = {name: {"dataset": name} for name in names}
    data = FilesData(kind="files", training={"t": {"dataset": "t"}}, evaluation=sets)
    checkpoints = {name: AuthorCheckpoint(**row) for name, row in rows.items()}
    assert list(check_author_checkpoints(checkpoints, data, clip=object())) == []
    assert {row.kind for row in checkpoints.values()} == {"classifier", "clip"}

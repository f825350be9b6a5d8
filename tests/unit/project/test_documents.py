"""Snippets of the documents are valid in a study."""

import re

import pytest
import yaml

from synscale.models import checksums
from synscale.study import overrides
from synscale.study.load import StudyError, load_study, validate
from tests.support.workflow import ROOT, SMOKE, STUDIES

PAPER = (ROOT / "docs/guides/run_the_paper.md").read_text(encoding="utf-8")
DOCUMENT = ROOT / "docs/guides/add_a_generator.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
SNIPPETS = [block for block in BLOCKS if "model:" in block]  # others are about other data


@pytest.mark.parametrize(
    "snippet", SNIPPETS, ids=lambda snippet: re.search(r"model: \S*?([\w.-]+)[,\s]", snippet)[1]
)
def test_documented_snippet_is_valid_in_a_study(snippet, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    study = yaml.safe_load(SMOKE.read_text())
    parts = yaml.safe_load(snippet.replace("<commit>", "'" + "0" * 40 + "'"))
    assert parts
    for key, part in parts.items():
        study[key] = (study[key] | part) if key in study else part
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    valid_study = load_study(path)
    assert all(name in valid_study.generators for name in parts.get("generators", {}))


def released(part) -> set[tuple[str, str]]:
    """Model and commit of everything in a snippet that others released, where it is pinned."""
    pairs = (
        {(part["model"], part["revision"])}
        if "revision" in part and part["revision"] != "<commit>"
        else set()
    )
    return pairs.union(*(released(value) for value in part.values() if isinstance(value, dict)))


def test_documented_commits_are_those_of_known_sources():
    known = {(row["id"], row["revision"]) for row in checksums.rows(ROOT / "data/sources.csv")}
    pinned = set().union(*(released(yaml.safe_load(snippet)) for snippet in SNIPPETS))
    assert len(pinned) == 4
    assert pinned <= known


def test_keys_of_a_smaller_laion_fit_the_study(monkeypatch):
    monkeypatch.chdir(ROOT)
    keys = yaml.safe_load(re.search(r"smaller LAION: .*\n```yaml\n((?:.*\n)*?)```", PAPER)[1])
    content = overrides.merge(yaml.safe_load(STUDIES["imagenet"].read_text()), keys)
    with pytest.raises(StudyError) as error:
        validate(content, "study")
    untrained = (
        r"study: tables\.versus_paper\.counterparts\.(clip_vit_b_\w+): size = \d+: not trained"
    )
    for line in str(error.value).splitlines():  # nothing else is wrong
        del content["tables"]["versus_paper"]["counterparts"][re.match(untrained, line)[1]]
    study = validate(content, "study")
    for size, iterations in keys["clip"]["iterations"].items():
        assert iterations == round(32 * size / study.clip.batch_size)


def test_clip_iterations_of_the_paper_are_32_epochs():
    clip = load_study(STUDIES["imagenet"]).clip
    epochs = {size: round(32 * size / clip.batch_size) for size in clip.iterations}
    assert clip.iterations == {size: max(10_000, count) for size, count in epochs.items()}


def test_pages_prefer_to_change_a_study_in_place():
    pages = ("README.md", "docs/guides/add_a_generator.md", "docs/guides/add_a_data_set.md")
    for page in pages:
        assert "run_the_paper.md#change-the-study-in-place" in (ROOT / page).read_text()
    assert "## Change the study in place" in PAPER

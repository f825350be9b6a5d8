"""Nothing that a study does not define can be requested, and the nearest name is suggested."""

import json
import os
from pathlib import Path

import pytest
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

from synscale.study.load import load_study
from synscale.study.models.generators import FinetunedGenerator, SafetyChecker
from synscale.workflow import hooks, requested, rule_values
from synscale.workflow.requested import Form
from synscale.workflow.targets import NotInStudy
from tests.support.workflow import ROOT, SMOKE, Workflow, in_fork

# Rules whose only wildcard is the study, apart from figures and tables.
OF_A_STUDY = {
    "fetch_reference",
    "fetch_safety_checker",
    "write_provenance",
    "tabulate_author_checkpoints",
}
CASES = [(rule, row.name) for rule, wildcards in rule_values.RULES.items() for row in wildcards]


def print_forms(folder: Path) -> None:
    os.chdir(folder)
    output = OutputSettings(dryrun=True, log_level_override=40, enable_file_logging=False)
    with SnakemakeApi(output) as api:
        settings = (ResourceSettings(cores=1), ConfigSettings())
        workflow = api.workflow(*settings, snakefile=folder / "Snakefile")._workflow
        print(json.dumps([[form.rule, form.pattern] for form in hooks.forms(workflow.rules)]))


@pytest.fixture(scope="module")
def forms(tmp_path_factory) -> list[Form]:
    """Every form of path that a rule of the workflow makes."""
    workflow = Workflow.create(tmp_path_factory.mktemp("forms") / "workflow")
    status, printed = in_fork(print_forms, workflow.folder)
    assert status == 0, printed
    return [Form(*pair) for pair in json.loads(printed.strip().split("\n")[-1])]


@pytest.fixture(scope="module")
def studies():
    """Two studies that together have a value for every wildcard."""
    before = os.getcwd()
    os.chdir(ROOT)
    try:
        smoke, imagenet = load_study(SMOKE), load_study(ROOT / "studies/imagenet.yaml")
        checker = SafetyChecker(model="a/b", revision="0" * 40)
        images = {"source": "real", "images": 20}
        recipe = {"rank": 1, "iterations": 1, "batch_size": 1, "learning_rate": 1.0}
        keys = {"base": "diffusion", "data": images, "lora": recipe}
        tuned = {"tuned": FinetunedGenerator(kind="finetuned", **keys)}
        smoke = smoke.model_copy(update={"generators": smoke.generators | tuned})
        return {"smoke": smoke, "imagenet": imagenet.model_copy(update={"safety_checker": checker})}
    finally:
        os.chdir(before)


def check(path, forms, studies):
    requested.check([path], forms, studies)


def valid_values(rule: str, study) -> dict[str, str] | None:
    """The last value of each wildcard, or None if the study has none."""
    values: dict[str, str] = {}
    for wildcard in rule_values.RULES[rule]:
        known = list(wildcard.known(study, values))
        if not known:
            return None
        values[wildcard.name] = known[-1]
    return values


def test_every_wildcard_of_every_rule_has_known_values(forms):
    for form in forms:
        wildcards = set(requested.WILDCARD.findall(form.pattern)) - {"study"}
        names = {wildcard.name for wildcard in rule_values.RULES.get(form.rule, ())}
        assert wildcards <= names, form
        if not wildcards and "{study}" in form.pattern:
            shown = form.rule.startswith(("plot_", "tabulate_"))
            assert shown or form.rule in OF_A_STUDY, form
    outputs = {form.rule for form in forms}
    assert set(rule_values.RULES) <= outputs and set(rule_values.NEEDS) <= outputs


@pytest.mark.parametrize(("rule", "wildcard"), CASES)
def test_wrong_value_is_refused_with_the_nearest_name(forms, studies, rule, wildcard):
    tried = 0
    for name, study in studies.items():
        if (values := valid_values(rule, study)) is None:
            continue
        if rule in rule_values.NEEDS and study.safety_checker is None:
            continue
        tried += 1
        for form in (other for other in forms if other.rule == rule):
            path = form.pattern.format(study=name, **values)
            check(path, forms, studies)
            right = values[wildcard]
            wrong = right[:-5] + "99999" if wildcard == "shard" else f"{right}x"
            bad = form.pattern.format(study=name, **(values | {wildcard: wrong}))
            with pytest.raises(NotInStudy) as error:
                check(bad, forms, studies)
            message = str(error.value)
            assert message.startswith(f"{bad}: studies/{name}.yaml: no ")
            hint = "nown: " if wildcard == "shard" else "did you mean '"
            assert repr(wrong) in message and hint in message, message
    assert tried


def test_wrong_study_is_refused_in_every_form(forms, studies):
    for form in forms:
        values = dict.fromkeys(requested.WILDCARD.findall(form.pattern), "x") | {"study": "smoek"}
        if "{study}" in form.pattern:
            with pytest.raises(NotInStudy, match="no study 'smoek'; did you mean 'smoke'"):
                check(form.pattern.format(**values), forms, studies)


def test_figure_or_table_that_a_study_lacks_is_refused(forms, studies):
    study = studies["smoke"]
    bare = study.model_copy(
        update={
            "figures": study.figures.model_copy(
                update=dict.fromkeys(type(study.figures).model_fields)
            ),
            "tables": study.tables.model_copy(
                update=dict.fromkeys(type(study.tables).model_fields)
            ),
        }
    )
    shown = [form for form in forms if form.pattern.startswith(("figures/", "tables/"))]
    assert len(shown) > 60
    for form in shown:
        path = form.pattern.format(study="bare", scaling="supervised_scaling", table="ood")
        with pytest.raises(
            NotInStudy, match=r"no figure|no table|the study has no author_checkpoints"
        ):
            check(path, forms, {"bare": bare})


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "results/smoke/images/diffusion_class_names/00002.tar",
            "no shard '00002' of 'diffusion_cl",
        ),
        ("results/smoke/images/real/00000.tar", "no synthetic source 'real'"),
        ("results/smoke/images/real_10/00000.tar", "no synthetic source 'real_10'"),
        ("results/smoke/data/one_writer/00001.tar", "no shard '00001'; did you mean '00000'"),
        (
            "results/smoke/data/one_writer/index.parquet",
            "no data set in files 'one_writer'; the st",
        ),
        ("results/smoke/shard_index/both/00000.csv", "no source of images 'both'"),
        ("results/smoke/scores/both.json", "no source to score 'both'"),
        ("results/smoke/metrics/real/vit_huge.parquet", "no group of classifiers 'vit_huge' of"),
        ("results/smoke/metrics/real/clip_tiny.parquet", "no group of classifiers 'clip_tiny' of"),
        ("results/smoke/clip/real/vit_tiny", "no group of CLIP models 'vit_tiny' of 'real'"),
        ("results/smoke/models/diffusion", "no generator to download 'diffusion'"),
        ("results/smoke/reference", "scores.reference is a run of the study"),
        ("results/smoke/safety_checker", "the study has no safety checker"),
        ("logs/smoke/score/reel.tsv", "no source to score 'reel'; did you mean 'real'"),
        ("figures/smoke/teaser.jpg", "no rule makes it; did you mean figures/smoke/teaser.pdf?"),
        ("figures/smoke/Teaser.pdf", "no figure 'Teaser'; did you mean 'teaser'"),
        ("figure/smoke/teaser.pdf", "no rule makes it; did you mean figures/smoke/teaser.pdf?"),
        ("teaser", "no rule makes it; did you mean figures/"),
        ("./figures/smoke/teaser.pdf", "write it as figures/smoke/teaser.pdf"),
        (f"{ROOT}/figures/smoke/teaser.pdf", "write it as figures/smoke/teaser.pdf"),
        ("studies", "is a folder, which no rule makes"),
        (
            "results/smoke/zzz",
            "no rule makes it; files that rules make have the forms results/{stu",
        ),
    ],
)
def test_target_that_no_study_defines_is_refused(forms, studies, monkeypatch, path, message):
    monkeypatch.chdir(ROOT)
    with pytest.raises(NotInStudy) as error:
        check(path, forms, studies)
    assert message in str(error.value)


def test_existing_files_and_all_problems(forms, studies, monkeypatch):
    monkeypatch.chdir(ROOT)
    check("data/datasets.csv", forms, studies)
    with pytest.raises(NotInStudy, match=r"'one'.*\n.*'two'"):
        requested.check(["tables/smoke/one.csv", "tables/smoke/two.csv"], forms, studies)


def test_snakemake_and_plan_report_a_wrong_target(workflow: Workflow):
    forced = ("--forcerun", "results/smoke/metrics/real/nope.parquet")
    printed = workflow.dry_run("figures/smoke/teasr.pdf", *forced, check=False)
    assert "no figure 'teasr'; did you mean 'teaser'?" in printed and "No rule to" not in printed
    assert "no group of classifiers 'nope' of 'real'" in printed

    def plan(folder):
        from scripts import plan

        os.chdir(folder)
        plan.main(["--target", "results/smoke/images/nope/00000.tar"])

    status, planned = in_fork(plan, workflow.folder)
    assert status == 1 and "no synthetic source 'nope'" in planned
    assert not (workflow.folder / "results").exists()

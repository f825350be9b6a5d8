"""Inputs, digests and resources of rules, called without Snakemake."""

from types import FunctionType, SimpleNamespace

import pytest
from snakemake.common import get_function_params
from snakemake.exceptions import WorkflowError
from snakemake.iocontainers import InputFiles

from synscale.planning import estimates, resources
from synscale.study.load import StudyError, load_study
from synscale.workflow import digests, figure_inputs, inputs, rule_names, score_digests, studies
from tests.support.workflow import ROOT, SMOKE

VALUES = {
    "study": "smoke",
    "scaling": "supervised_scaling",
    "table": "supervised",
    "law": "supervised",
    "source": "diffusion_class_names",
    "group": "vit_tiny",
    "shard": "00001",
    "split": "one_writer",
    "recipe": "class_names",
    "generator": "diffusion",
    "name": "all",
}
# Inputs of checkpoints, models, data sets and selections that the smoke study does not have.
ABSENT = {"checkpoint", "checkpoint_tars", "local_model"}
ABSENT |= {"selecting_model", "unselected_tar", "selection_laws", "selection_metrics"}
ABSENT |= {"repetition_metrics", "feature_model", "remembered_tars"}
ABSENT |= {"base_pipeline", "tuning_images"}


def functions_of(module) -> dict[str, FunctionType]:
    """Functions of a module that a rule may name."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, FunctionType) and next(iter(get_function_params(value))) == "wildcards"
    }


@pytest.fixture(autouse=True)
def smoke(monkeypatch):
    """The smoke study is the only study of the run."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(studies, "_STUDIES", {})
    monkeypatch.setattr(studies, "_CHECKS", [])
    study = load_study(SMOKE)
    studies.configure({"smoke": study}, "smoke")
    return study


def wildcards(**changes) -> SimpleNamespace:
    return SimpleNamespace(**(VALUES | changes))


INPUTS = functions_of(inputs) | functions_of(figure_inputs)


@pytest.mark.parametrize("name", sorted(INPUTS.keys() - ABSENT - {"as_options"}))
def test_input_returns_paths_of_the_study(name):
    files = INPUTS[name](wildcards())
    assert list(get_function_params(INPUTS[name])) == ["wildcards"]
    for file in [files] if isinstance(files, str) else files:
        assert "/smoke/" in file or file.startswith(("data/", "provenance/"))


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_input_is_documented(name):
    assert INPUTS[name].__doc__.split("\n")[0].endswith(".")


def test_input_names_the_figure_that_a_study_lacks(smoke):
    figures = smoke.figures.model_copy(update={"limited_real": None})
    studies.configure({"smoke": smoke.model_copy(update={"figures": figures})}, "smoke")
    with pytest.raises(WorkflowError, match="no figure or table 'limited_real'"):
        figure_inputs.limited_real_metrics(wildcards())


def test_input_refuses_an_unknown_source_with_the_nearest():
    with pytest.raises(WorkflowError, match=r"no source 'reel'; .* did you mean 'real'"):
        inputs.training_indexes(wildcards(source="reel"))


def test_index_of_shards_continues_at_the_shard_before():
    assert inputs.previous_index(wildcards()) == []
    before = inputs.previous_index(wildcards(shard="00200"))
    assert before == ["results/smoke/shard_index/diffusion_class_names/00199.csv"]


def test_evaluation_table_reads_metrics_of_its_models():
    classifiers = figure_inputs.evaluation_metrics(wildcards())
    clip = figure_inputs.evaluation_metrics(wildcards(table="clip"))
    assert classifiers and all("/metrics/" in path for path in classifiers)
    assert clip and all("/clip_metrics/" in path for path in clip)


def test_inputs_become_options_of_the_script_without_code():
    files = InputFiles(toclone=["a b.parquet", "c.parquet", "laws.json", "scripts/x.py"])
    files._set_name("metrics", 0, end=2)
    files._set_name("laws", 2)
    files._set_name("code", 3, end=4)
    options = inputs.as_options(wildcards(), files)
    assert options == "--metrics 'a b.parquet' c.parquet --laws laws.json"


# -- digests and resources -------------------------------------------------------------------------


def test_every_digest_has_the_name_of_its_rule():
    rules = rule_names.rules()
    for name in functions_of(digests).keys() - {"prompts"}:
        assert f"settings_digest=digests.{name}," in rules[name]
    for name in functions_of(score_digests):
        assert f"settings_digest=score_digests.{name}," in rules[name]


def test_digest_changes_with_the_settings_of_its_rule_only(smoke):
    before = digests.train_generator(wildcards()), digests.prompts(wildcards())
    generator = smoke.generators["diffusion"]
    training = generator.training.model_copy(update={"iterations": 21})
    generators = {"diffusion": generator.model_copy(update={"training": training})}
    changed = smoke.model_copy(update={"generators": smoke.generators | generators})
    studies.configure({"smoke": changed}, "smoke")
    after = digests.train_generator(wildcards()), digests.prompts(wildcards())
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_digest_of_an_index_does_not_decide_over_reruns():
    assert list(get_function_params(digests.index_shards)) == ["wildcards", "input"]
    assert digests.index_shards(wildcards(), input=[]) == digests.index_shards(
        wildcards(), input=["a.tar"]
    )


def test_tables_of_resources_name_rules():
    tables = [estimates.MINUTES, resources.PRIORITIES, resources.MEGABYTES]
    for table in [*tables, resources.VARIABLE_MEGABYTES]:
        assert table.keys() <= rule_names.rules().keys()
    with_priority = [
        rule for rule, text in rule_names.rules().items() if "priority: resources" in text
    ]
    assert sorted(with_priority) == sorted(resources.PRIORITIES)


def test_first_shards_come_first_within_their_stage():
    first, second = (
        resources.priority(wildcards(shard=shard), "generate") for shard in ("00000", "g2-00001")
    )
    assert first == 10 > second > 9


def test_memory_grows_with_threads_and_attempts(smoke):
    resources.configure(estimates.ResourceEstimates({"smoke": smoke}, "laptop"))
    first = resources.mem_mb(wildcards(), attempt=1, threads=1, rulename="evaluate")
    assert first == 4000
    assert resources.mem_mb(wildcards(), attempt=1, threads=8, rulename="evaluate") == 11_000
    assert resources.mem_mb(wildcards(), attempt=2, threads=1, rulename="evaluate") == 8000
    assert resources.mem_mb(wildcards(), attempt=1, threads=1, rulename="plot_teaser") == 2000


def test_gpu_study_is_checked_when_it_is_looked_up(smoke):
    estimate = estimates.ResourceEstimates({"smoke": smoke}, "laptop")
    studies.configure({"smoke": smoke}, "smoke", estimate.check_hardware)
    assert resources.gpu(wildcards()) == 0
    on_gpu = smoke.model_copy(update={"gpus": 1})
    studies.configure({"smoke": on_gpu}, "smoke", estimate.check_hardware)
    with pytest.raises(WorkflowError, match="is a machine without GPU"):
        resources.gpu(wildcards())


def test_study_of_a_job_without_wildcard_is_the_default():
    assert studies.study_of(SimpleNamespace()).name == "smoke"


def test_problems_of_all_studies_are_reported_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    for name in ("one", "two"):
        (tmp_path / f"studies/{name}.yaml").write_text("title: [")
    with pytest.raises(StudyError, match=r"one\.yaml.*(?s:.)*two\.yaml"):
        studies.load_all({"study": "one"})

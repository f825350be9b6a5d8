"""Study files: a sound one loads, and every fault of an unsound one is told with file, key, value
and mend.
"""

import json
from pathlib import Path

import pytest
import yaml

from synscale.study import class_table, schema
from synscale.study.load import StudyError, load_study
from tests.support.workflow import ROOT, SMOKE, STUDIES


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch):
    monkeypatch.chdir(ROOT)


def faults_of(tmp_path: Path, *changes: tuple[str, str]) -> list[str]:
    """The lines of the error that the smoke study gives after these changes of its text."""
    text = SMOKE.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(StudyError) as error:
        load_study(path)
    lines = str(error.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


@pytest.mark.parametrize("path", STUDIES.values(), ids=STUDIES)
def test_the_studies_of_the_project_are_sound(path):
    assert load_study(path).title


def test_the_schema_for_editors_is_fresh():
    assert (ROOT / "studies/schema.json").read_text() == schema.text(), (
        "run: python -m synscale.study.schema"
    )
    assert json.loads(schema.text())["additionalProperties"] is False


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        # unknown and missing keys, wrong types and values
        (
            "title: Smoke",
            "titel: Smoke",
            ["titel = 'Smoke': unknown key; did you mean 'title'?", "title: missing; add it"],
        ),
        (
            "    steps: 2",
            "    stepz: 2",
            [
                "generators.diffusion.stepz = 2: unknown key; did you mean 'steps'?",
                "generators.diffusion.steps: missing",
            ],
        ),
        (
            "  warmup: 0.1\n  weight_decay: 0.05\n",
            "  weight_decay: 0.05\n",
            ["classifiers.warmup: missing; add it (share of the iterations)"],
        ),
        (
            "seeds: [0, 1], curves",
            "curves",
            ["experiments.sweep.seeds: missing; add it (see studies/digits.yaml)"],
        ),
        (
            "seeds: [0, 1], curves",
            "seeds: [0, 1], curvs",
            ["experiments.sweep.curvs", "unknown key; did you mean 'curves'?"],
        ),
        (
            "batch_size: 16\n  learning_rate: 5",
            "batch_size: many\n  learning_rate: 5",
            ["classifiers.batch_size = 'many': input should be a valid integer"],
        ),
        ("warmup: 0.1", "warmup: 1.5", ["classifiers.warmup = 1.5: input should be less than 1"]),
        (
            "kind: captions",
            "kind: haiku",
            ["recipes.captions.kind = 'haiku': input should be 'class_names', 'description'"],
        ),
        (
            "  masked:",
            "  Masked/..:",
            [
                "generators.Masked/.. = 'Masked/..': a name stands in paths: rename it to small letters, digits and _"
            ],
        ),
        (
            "learning_rate: 5.0e-3",
            "learning_rate: .inf",
            ["classifiers.learning_rate = inf: input should be a finite number"],
        ),
        (
            "recipe: captions, images: {1.5: 20}",
            "recipe: captions, images: {.nan: 20}",
            ["sources.masked_captions.images.nan = nan: input should be a finite"],
        ),
        (
            "position_std: 0.2",
            "position_std: 0.2\n  mixup: true",
            ["classifiers.mixup = True: input should not be true or false"],
        ),
        ("gpus: 0", "gpus: yes", ["gpus = True: input should not be true or false"]),
        (
            "guidance: 1.5}\n  limited",
            "guidance: al}\n  limited",
            ["experiments.scaling.curves.1.guidance = 'al': input should be 'all'"],
        ),
        # sizes
        (
            "sizes: [10, 20, 40]",
            "sizes: [10, 40, 20]",
            ["experiments.scaling.sizes = [10, 40, 20]: must grow", "use [10, 20, 40]"],
        ),
        (
            "sizes: [10, 20, 40]",
            "sizes: [10, 20, 25, 40]",
            ["experiments.scaling.sizes = 25: not nested", "use 20"],
        ),
        (
            "sizes: [10, 20, 40]",
            "sizes: [10, 20, 80]",
            ["experiments.scaling.sizes = 80: more than the 40 of sources.real.images"],
        ),
        (
            "sizes: [10, 20, 40]",
            "sizes: [10, 20, 80]",
            [
                "experiments.scaling.sizes = 80: more than the 40 of sources.diffusion_class_names.images.1.5"
            ],
        ),
        (
            "sizes: [10, 20, 40]",
            "sizes: [10, 20, 80]",
            [
                "experiments.scaling.sizes = 80: no training iterations for it; add 80 to classifiers.iterations"
            ],
        ),
        (
            "images: {1.5: 20}",
            "images: {1.5: 25}",
            ["sources.masked_captions.images.1.5 = 25: not a multiple of the 10 classes; use 20"],
        ),
        (
            "sizes: [10, 40]}",
            "sizes: [10, 20]}",
            [
                "laws.supervised.sizes = [10, 20]: holds 2 sizes of [10, 20, 40] (real on vit_tiny); a law needs 3"
            ],
        ),
        # names that lead nowhere
        (
            "recipe: captions,",
            "recipe: caption,",
            [
                "sources.masked_captions.recipe = 'caption': no such recipe; did you mean 'captions'?"
            ],
        ),
        (
            "generator: masked,",
            "generator: imagen,",
            [
                "sources.masked_captions.generator = 'imagen': no such generator; known: diffusion, masked"
            ],
        ),
        (
            "recipes: [class_names], columns",
            "recipes: [nouns], columns",
            [
                "figures.samples.recipes = 'nouns': no such recipe; known: alt_texts, captions, class_names"
            ],
        ),
        (
            "{experiment: sweep,",
            "{experiment: sweeps,",
            [
                "figures.configuration_sweep.experiment = 'sweeps': no such experiment; did you mean 'sweep'?"
            ],
        ),
        (
            "guidance: 1.5}\n  limited",
            "guidance: 3.0}\n  limited",
            [
                "experiments.scaling.curves.1.guidance = 3.0: 'diffusion_class_names' has no images at it"
            ],
        ),
        (
            "- source: real\n      -",
            "- {source: real, guidance: 2.0}\n      -",
            ["experiments.scaling.curves.0.guidance = [2.0]: real images have no guidance scale"],
        ),
        (
            "size: 40, seed: 0",
            "size: 40, seed: 7",
            ["scores.reference = {", "no experiment trains it on real images"],
        ),
        (
            "images: 20\n  evaluation",
            "images: 30\n  evaluation",
            ["scores.images = 30: more than the 20 of sources.diffusion_class_names.images.1.0"],
        ),
        (
            "data/digits_classes.csv",
            "data/digit_classes.csv",
            ["classes = 'data/digit_classes.csv': no such file"],
        ),
        # figures of what is not made
        (
            "recipes: [class_names], columns",
            "recipes: [captions], columns",
            ["figures.samples.recipes = 'captions': no source makes it with generator 'diffusion'"],
        ),
        (
            "sweep, architecture: vit_tiny",
            "sweep, architecture: vit_huge",
            [
                "figures.configuration_sweep.architecture = 'vit_huge': no such architecture in experiments.sweep"
            ],
        ),
        (
            "&synthetic [{source: diffusion_class_names, guidance: 1.5}]",
            "&synthetic [{source: diffusion_class_names, guidance: 1.0}]",
            [
                "figures.beyond_the_law.panels.0.curves = diffusion_class_names at guidance 1 on vit_tiny: not in the experiments of laws.supervised"
            ],
        ),
        # duplicates and overlaps
        ("recipe: captions,", "recipe: class_names,", []),
        (
            "masked_captions: {kind: synthetic, generator: masked, recipe: captions",
            "again: {kind: synthetic, generator: diffusion, recipe: class_names",
            ["sources.again = diffusion x class_names: the same as sources.diffusion_class_names"],
        ),
        (
            "classifier_training: [1]",
            "classifier_training: [1, 2]",
            ["data.evaluation.one_writer = [2]: form 2 is in data.classifier_training too"],
        ),
        # what makes no sense together
        (
            "kind: captions}",
            "kind: captions, patterns: ['a {name}']}",
            [
                "recipes.captions.patterns",
                "kind 'sentences' needs patterns, and no other kind takes them",
            ],
        ),
        (
            "recipe: captions, images",
            "recipe: alt_texts, images",
            ["experiments.sweep.curves = 'masked_captions': alt texts need not name the class"],
        ),
        # mixtures
        (
            "parts: [{source: real, images: 10}",
            "parts: [{source: reals, images: 10}",
            ["sources.real_10.parts.0.source = 'reals': no such source"],
        ),
        (
            "parts: [{source: real, images: 10}",
            "parts: [{source: real, images: 15}",
            ["sources.real_10.parts.0.images = 15: not a multiple of the 10 classes"],
        ),
        (
            "class_names, guidance: 1.5}]}\n  both",
            "class_names, guidance: 3.0}]}\n  both",
            ["sources.real_10.parts.1.guidance = 3.0: 'diffusion_class_names'"],
        ),
        (
            "sizes: [20, 40, 80]",
            "sizes: [10, 20, 40, 80]",
            ["experiments.clip_both.sizes = 10: the parts of sources.both cannot be balanced"],
        ),
        (
            "sizes: [20, 40, 80]",
            "sizes: [20, 40, 160]",
            ["experiments.clip_both.sizes = 160: more than the 40 of sources.real.images"],
        ),
        # CLIP
        (
            "clip_tiny:",
            "vit_tiny:",
            ["clip.architectures.vit_tiny: the name of a classifier too; rename one"],
        ),
        (
            "text_heads: 2",
            "text_heads: 3",
            ["clip.architectures.clip_tiny.text_width = 16: not a multiple of text_heads = 3"],
        ),
        (
            'templates: ["{name}", ',
            'templates: ["digit", ',
            ["clip.templates.0 = 'digit': must hold {name} once"],
        ),
        (
            "[1, 3, 5, 7, 9]",
            "[1, 3, 5, 7, 8]",
            ["clip.tasks.parity.classes", "stand under one text only"],
        ),
        (
            "captions: {thin: thin, thick: thick}",
            "captions: {thin: thin}",
            ["clip.tasks.ink: one text alone"],
        ),
        (
            "[other_writer, parity, ink], sizes",
            "[other_writer, party, ink], sizes",
            ["laws.clip_downstream.evaluation = 'party': no such evaluation set"],
        ),
        (
            "experiments: [scaling], evaluation: outlines",
            "experiments: [scaling], evaluation: parity",
            ["laws.supervised_outlines.evaluation = 'parity'"],
        ),
        (
            "clip, clip_both], evaluation: one",
            "clip, scaling], evaluation: one",
            ["laws.clip.experiments", "give each a law of its own"],
        ),
        # more figures and tables of what is not made
        (
            "mixtures: real_10",
            "mixtures: real_20",
            ["figures.limited_real.mixtures = 'real_20': no such mixture; did you mean 'real_10'?"],
        ),
        (
            "law: supervised_outlines, arch",
            "law: supervised_outlined, arch",
            ["figures.ood_scaling.panels.0.law = 'supervised_outlined': no such law"],
        ),
        (
            "clip_mixture: both",
            "clip_mixture: real_10",
            [
                "tables.claims.clip_curves = real_10 on clip_tiny: not in the experiments of laws.clip"
            ],
        ),
        (
            "ood: {evaluations: [outlines,",
            "ood: {evaluations: [outline,",
            ["tables.ood.evaluations = 'outline': no such evaluation set"],
        ),
        (
            "fig1_supervised_imagenet_real: {",
            "fig2_supervised_imagenet_real: {",
            ["fig2_supervised_imagenet_real'", "no such id in data/paper_numbers.csv"],
        ),
        (
            "vit_tiny, source: real}}",
            "vit_tiny, source: masked_captions}}",
            ["fig1_supervised_imagenet_real: no guidance; name one of [1.5]"],
        ),
        (
            "supervised: {evaluations: one_writer}",
            "supervised: {evaluations: parity}",
            ["tables.supervised.evaluations = 'parity': no such evaluation set of"],
        ),
        (
            "images: 20\n  evaluation",
            "images: 10\n  evaluation",
            ["scores.images = 10: diversity needs two images of each of the 10 classes"],
        ),
        (
            "patch_size: 4",
            "patch_size: 3",
            ["classifiers.architectures.vit_tiny.patch_size = 3: does not divide image_size = 8"],
        ),
        (
            "depth: 1, heads: 2, pool",
            "depth: 1, heads: 3, pool",
            ["classifiers.architectures.vit_tiny.width = 16: not a multiple of heads = 3"],
        ),
        (
            "channels: [8, 8]",
            "channels: [8, 12]",
            ["generators.diffusion.channels.1 = 12: not a multiple of 8"],
        ),
        (
            "text_width: 16",
            "text_width: 15",
            ["generators.diffusion.text_width = 15: not a multiple of 2"],
        ),
        (
            "position_std: 0.2",
            "position_std: 0.2\n  image_size: 6",
            ["vit_tiny.patch_size = 4: does not divide classifiers.image_size = 6"],
        ),
        (
            "position_std: 0.2",
            "position_std: 0.2\n  image_size: 12",
            ["classifiers.image_size = 12: more than the 8 that images are kept at (image_size)"],
        ),
    ],
)
def test_a_fault_is_told_with_its_key_value_and_mend(tmp_path, old, new, told):
    if not told:  # this one change is no fault
        path = tmp_path / "good.yaml"
        path.write_text(SMOKE.read_text().replace(old, new, 1))
        load_study(path)
        return
    text = "\n".join(faults_of(tmp_path, (old, new)))
    for part in told:
        assert part in text


def test_all_faults_are_told_at_once(tmp_path):
    faults = faults_of(
        tmp_path,
        ("title: Smoke", "titel: Smoke"),
        ("warmup: 0.1", "warmup: 2"),
        ("recipe: captions,", "recipe: none,"),
        ("sizes: [10, 20, 40]", "sizes: [10, 20, 25]"),
    )
    for key in ("titel", "title", "classifiers.warmup", "sources.masked_captions.recipe"):
        assert any(fault.startswith(key) for fault in faults), key


def test_one_fault_is_one_line(tmp_path):
    assert faults_of(
        tmp_path,
        ("sizes: [10, 20, 40]", "sizes: [10, 20, 25, 40]"),
        ("10: 5, 20: 5,", "10: 5, 20: 5, 25: 5,"),
    ) == [
        "experiments.scaling.sizes = 25: not nested: no prefix of 25 images is balanced over 10 classes; use 20"
    ]


def test_a_key_that_stands_twice_is_told_with_its_lines(tmp_path):
    text = "\n".join(
        faults_of(
            tmp_path, ("  masked_captions:", "  real: {kind: real, images: 20}\n  masked_captions:")
        )
    )
    assert "key 'real' stands twice" in text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "not YAML"),
        ("- 1", "holds list, not a mapping"),
        ("", "holds NoneType"),
        ("title: {{name}}", "not YAML: .*unhashable key"),
    ],
)
def test_a_file_that_holds_no_study(tmp_path, text, told):
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(StudyError, match=told):
        load_study(path)


def test_a_missing_file_is_told_with_those_that_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/digits.yaml").touch()
    with pytest.raises(StudyError, match="no such study file; studies here: digits"):
        load_study("studies/digit.yaml")


@pytest.mark.parametrize("name", ["my study", "$(touch x)", "a.b", "-n"])
def test_a_name_that_could_reach_a_shell_or_a_path_is_refused(tmp_path, name):
    path = tmp_path / "deep" / f"{name}.yaml"
    path.parent.mkdir()
    path.write_text(SMOKE.read_text())
    with pytest.raises(StudyError, match="rename the file"):
        load_study(path)


def test_yaml_cannot_make_objects(tmp_path):
    path = tmp_path / "evil.yaml"
    path.write_text("title: !!python/object/apply:os.getcwd []")
    with pytest.raises(StudyError, match="not YAML"):
        load_study(path)
    assert yaml.safe_load("1") == 1


def test_a_file_that_is_not_utf8_is_told(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes(SMOKE.read_text().replace("Smoke", "caf\xe9").encode("latin-1"))
    with pytest.raises(StudyError, match=r"not UTF-8 at byte .*: save it as UTF-8"):
        load_study(path)


CLASSES = (ROOT / "data/digits_classes.csv").read_text()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("zero", "z\xe9ro", "not UTF-8 at byte"),
        ("9,nine", "9,", "class 9 has no name: add it"),
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
            "recipes.alt_texts.kind = 'alt_texts': {} has no hypernyms of 3 classes (5, 7, 9): add it, or leave the recipe out",
        ),
    ],
)
def test_a_class_table_that_is_of_no_use_is_told_with_its_classes(tmp_path, old, new, told):
    table = tmp_path / "classes.csv"
    table.write_bytes(CLASSES.replace(old, new).encode("latin-1"))
    faults = faults_of(tmp_path, ("data/digits_classes.csv", str(table)))
    assert any(told.format(table) in fault for fault in faults), faults


def test_a_class_table_may_come_from_a_spreadsheet(tmp_path):
    (tmp_path / "classes.csv").write_bytes(b"\xef\xbb\xbf" + CLASSES.replace("\n", "\r\n").encode())
    (tmp_path / "good.yaml").write_text(
        SMOKE.read_text().replace("data/digits_classes.csv", str(tmp_path / "classes.csv"))
    )
    assert load_study(tmp_path / "good.yaml")
    assert class_table.read(tmp_path / "classes.csv")["class_id"].tolist() == list(range(10))


def test_a_class_may_be_called_as_a_number_or_as_nothing(tmp_path):
    (tmp_path / "classes.csv").write_text(
        "class_id,name,description,hypernyms\n0,7,NA,x\n1,None,null,y\n"
    )
    assert class_table.read(tmp_path / "classes.csv")[["name", "description"]].values.tolist() == [
        ["7", "NA"],
        ["None", "null"],
    ]

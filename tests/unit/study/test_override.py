"""Keys of a study that are changed for a plan: how they are written, what they change, and the
messages for invalid ones.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synscale.study import overrides
from synscale.study.load import StudyError, load_study
from tests.support.workflow import STUDIES

DIGITS = STUDIES["digits"]


def read(text):
    return overrides.read(text, DIGITS.parent)


def test_dots_and_nesting_are_one():
    nested = {"digits": {"generators": {"diffusion": {"steps": 10}}}}
    assert (
        read("{digits.generators.diffusion.steps: 10}")
        == read("{digits: {generators: {diffusion: {steps: 10}}}}")
        == nested
    )
    assert read("{digits.generators: {diffusion.steps: 10}}") == nested
    assert (
        read({"digits": {"generators.diffusion": {"steps": "10"}}}) == nested
    )  # Snakemake hands over text


def test_numbers_are_keys_as_in_the_file():
    changes = read(
        {
            "digits": {
                "sources.diffusion_class_names.images": {"1.5": "4000"},
                "classifiers.iterations.30": "50",
            }
        }
    )
    assert changes == {
        "digits": {
            "sources": {"diffusion_class_names": {"images": {1.5: 4000}}},
            "classifiers": {"iterations": {30: 50}},
        }
    }
    study = overrides.load(DIGITS, changes)
    assert study.sources["diffusion_class_names"].images == load_study(DIGITS).sources[
        "diffusion_class_names"
    ].images | {1.5: 4000}
    assert study.classifiers.iterations == load_study(DIGITS).classifiers.iterations | {30: 50}


def test_without_changes_it_is_the_study_itself():
    assert overrides.load(DIGITS, {}) is load_study(DIGITS)
    assert read("{}") == read(None) == {} and overrides.text(None) == "{}"


@settings(max_examples=10)  # each loads the study again
@given(steps=st.integers(1, 10_000))
def test_override_changes_named_keys_only(steps):
    study, before = (
        overrides.load(DIGITS, {"digits": {"generators": {"diffusion": {"steps": steps}}}}),
        load_study(DIGITS),
    )
    assert study.generators["diffusion"].steps == steps
    assert study.generators["diffusion"].model_copy(update={"steps": 0}) == before.generators[
        "diffusion"
    ].model_copy(update={"steps": 0})
    assert study.sources == before.sources and study.classifiers == before.classifiers


values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["word", "two words"])
)


@given(
    st.dictionaries(
        st.sampled_from(["gpus", "title", "a_b"]) | st.floats(0.1, 100), values, min_size=1
    )
)
def test_override_text_is_read_as_the_same(changes_of_digits):
    changes = {"digits": changes_of_digits}
    assert read(overrides.text(changes)) == changes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{digits.generators.diffusion.stepz: 10}",
            r"override of \S*digits.yaml: generators.diffusion.stepz = 10: unknown key; "
            r"did you mean 'steps'",
        ),
        (
            "{digits.generators.diffusion.steps: few}",
            r"override of \S*digits.yaml: generators.diffusion.steps = 'few': input "
            r"should be a valid integer",
        ),
        (
            "{digits.experiments.scaling.sizes: [30, 77]}",
            r"override of \S*digits.yaml: experiments.scaling.sizes = 77: ",
        ),
        ("{digits.colour: blue}", r"override of \S*digits.yaml: colour = 'blue': unknown key; "),
        (
            "{generators.diffusion.steps: 10}",
            r"override: generators = .*: the first key must be a study, one of "
            r".*\bdigits\b.*; write it as",
        ),
        (
            "digits.generators.diffusion.steps=10",
            "override = 'digits.generators.diffusion.steps=10': not a mapping; write it as",
        ),
        ("{digits: 10}", "override: digits = 10: no key of the study; write it as"),
        ("{digits: [10}", "override = .*; write it as"),
    ],
)
def test_invalid_override_is_reported(text, message):
    with pytest.raises(StudyError, match=message):
        overrides.load(DIGITS, read(text))

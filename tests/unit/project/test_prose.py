"""Texts are in plain English: no phrase that is never right, and messages of one form."""

import re

import pytest

from tests.support import prose

START = r"(?:^(?:# )?|(?<=[.:;!?|] )|(?<=\"\"\"))(?:[-*] |\d+\. )?[\"'(*_`]*"
PHRASES = {
    "told": r"\btold\b",
    "mend": r"\bmend(s|ed|ing)?\b",
    "anew": r"\banew\b",
    "ours": r"\bours\b",
    "fault": r"\bfault(s|y)?\b",
    "goes on": r"\b(go(es|ing)?|went|gone) on(?! the)\b",
    "lies in": r"\b(lies?|lay|lying) in\b",
    "stands in": r"\b(stands?|stood|standing) in\b",
    "of its own": r"\bof (its|their|his|her) own\b",
    "judge": r"\bjudg(e|es|ed|ing)\b",
    "dearest": r"\bdear(er|est|ly)?\b",
    "Of ...": rf"{START}Of (?!course\b)",
}
NEVER_RIGHT = {name: re.compile(pattern, re.I) for name, pattern in PHRASES.items()}
NEVER_RIGHT["Of ..."] = re.compile(PHRASES["Of ..."])
# A comment that continues its line of code with "of ..." has no subject either.
NEVER_RIGHT["# of ..."] = re.compile(r"^# of ")
ANY = re.compile("|".join([*PHRASES.values(), "# of "]), re.I)

# File (an end of its path), text that is right there, reason.
EXCEPTIONS = (
    ("tests/unit/project/test_prose.py", "", "lists the phrases"),
    ("CONTRIBUTING.md", "--faults", "option of the fault injection"),
    ("tests/slurm/soak.py", "fault", "fault injection, the standard term"),
    ("docs/reference/reliability.md", "fault", "fault injection, the standard term"),
    ("tests/slurm/test_faults.py", "Fault injection", "the standard term"),
    ("tests/support/slurm/faults.py", "Faults", "fault injection, the standard term"),
    ("tests/support/slurm/faults.py", "fault", "fault injection, the standard term"),
    ("tests/unit/planning/test_calibrate.py", "stand in", "the noun stand-in, in a name"),
    ("tests/unit/runtime/test_security_of_texts.py", "./judges/", "a hostile name of a folder"),
    ("tests/workflow/test_authors_models.py", "'ours'", "an unknown name of a checkpoint"),
)
MOST_EXCEPTIONS = 40

# A bare adjective or participle does not say what a variable holds.
BARE_NAMES = {"own", "found", "told", "made", "held", "wanted", "chosen", "kept", "ours", "alone"}

LONGEST_MESSAGE = 260  # letters, without inserted values
LONGEST_TEST_NAME = 60
MESSAGE_START = re.compile(r"[a-z0-9{`'\"_.*-]|[A-Z]{2,}\b")
# What to do, what is expected, or an inserted value that says so.
MESSAGE_END = re.compile(
    r"; |\bmust\b|\bexpected\b|\bneeds?\b|\bgive\b|\{\}(\)|\. No job was started)?$"
)


def excused(path: str) -> list[str]:
    return [text for file, text, _ in EXCEPTIONS if path.endswith(file)]


def phrases_in(passage: prose.Passage) -> list[str]:
    """Return the phrases in a passage that are never right, except in excused texts."""
    text = passage.text
    if not ANY.search(text):
        return []
    for excuse in excused(passage.path):
        text = text.replace(excuse, "") if excuse else ""
    return [name for name, pattern in NEVER_RIGHT.items() if pattern.search(text)]


@pytest.mark.parametrize("files", [prose.PYTHON_FILES, prose.TEXT_FILES], ids=["code", "texts"])
def test_no_text_has_a_phrase_that_is_never_right(files):
    hits = [
        f"{passage.path}:{passage.line}: {name}"
        for passage in prose.passages(files)
        for name in phrases_in(passage)
    ]
    assert not hits, "\n".join(hits)


def test_exceptions_are_few_and_used():
    texts = [*prose.passages(prose.PYTHON_FILES), *prose.passages(prose.TEXT_FILES)]
    unused = [
        f"{file}: {excuse}"
        for file, excuse, _ in EXCEPTIONS
        if not any(text.path.endswith(file) and excuse in text.text for text in texts)
    ]
    assert unused == []
    assert len(EXCEPTIONS) <= MOST_EXCEPTIONS
    assert all(reason for *_, reason in EXCEPTIONS)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Faults are told", ["told", "fault"]),
        ("It ends. Of two, one is read", ["Of ..."]),
        ("# of a text", ["# of ..."]),
        ("the number of images; most of them", []),
        ("a run that went on", ["goes on"]),
        ("judgement, default, amended, foretold", []),
    ],
)
def test_phrases_are_found_as_words(text, names):
    assert phrases_in(prose.Passage("a.py", 1, text)) == names


def test_names_are_nouns():
    bare = [
        f"{path}:{line}: {name}"
        for path in prose.tracked_files(prose.PYTHON_FILES)
        for line, name in prose.assigned_names(prose.syntax_tree(path))
        if name.lower() in BARE_NAMES
    ]
    assert not bare, "\n".join(bare)


def test_names_of_tests_are_short():
    long = [
        test.name
        for path in prose.tracked_files(prose.PYTHON_FILES)
        for test in prose.tests_of(path)
        if len(test.name) > LONGEST_TEST_NAME or re.match(r"test_(a|an|the|what)_", test.name)
    ]
    assert long == []


def message_problems(text: str) -> list[str]:
    """Return what an error message lacks: `<where>: <what> (<found>, expected <...>); <fix>`."""
    problems = {
        "starts with a capital": not MESSAGE_START.match(text),
        "ends with a full stop": text.endswith((".", "!")) and not text.endswith("..."),
        "is long": len(text.replace("{}", "")) > LONGEST_MESSAGE,
        "has neither a fix nor what is expected": not MESSAGE_END.search(text),
        "'expected' is outside brackets": "expected" in re.sub(r"\([^()]*(\([^()]*\))?", "", text),
        "has a phrase that is never right": bool(phrases_in(prose.Passage("", 0, text))),
    }
    return [problem for problem, is_there in problems.items() if is_there]


def test_error_messages_have_one_form():
    messages = list(prose.error_messages())
    assert len(messages) > 300
    problems = [
        f"{message.path}:{message.line}: {problem}: {message.text}"
        for message in messages
        for problem in message_problems(message.text)
    ]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Unknown key; remove it", "starts with a capital"),
        ("{}: unknown key; remove it.", "ends with a full stop"),
        ("{}: unknown key", "has neither a fix nor what is expected"),
        ("{}: is {}, expected {}", "'expected' is outside brackets"),
        ("{}: {}" + "; remove it" * 40, "is long"),
        ("{}: a fault; mend it", "has a phrase that is never right"),
    ],
)
def test_message_of_another_form_is_found(text, problem):
    assert message_problems(text) == [problem]

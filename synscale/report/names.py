"""Names, numbers and lists of a study as a reader's words."""

import re

# Names that are not written as their words.
NAMES = {
    "clip": "CLIP",
    "ood": "OOD",
    "imagenet": "ImageNet",
    "laion": "LAION",
    "stable diffusion": "Stable Diffusion",
    "deepfloyd if": "DeepFloyd IF",
    "amused": "aMUSEd",
}
_PATTERN = re.compile(rf"\b({'|'.join(NAMES)})\b")


def display_name(name: str) -> str:
    """Return a name of the study as a reader's words."""
    return _PATTERN.sub(lambda match: NAMES[match[0]], name.replace("_", " "))


def escape_rst(text: str) -> str:
    """Escape a text, on one line, so that reStructuredText shows it: no markup, no link."""
    return re.sub(r"([^\w\s]|_)", r"\\\1", " ".join(text.split()))


def join_words(texts: list[str]) -> str:
    """Return `a, b and c`."""
    return " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))


def span(numbers) -> str:
    """Return `40 to 4,096`, or the one number."""
    return " to ".join(f"{number:,}" for number in sorted({min(numbers), max(numbers)}))


def counted(number: int, unit: str) -> str:
    """Return a number with its unit, in the plural unless it is one.

    Parameters
    ----------
    number : int
    unit : str
        Unit in the singular.
    """
    return f"{number:,} {unit}{'' if number == 1 else 's'}"

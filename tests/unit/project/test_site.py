"""The site of the documents, as `make docs` builds it."""

import re
import shlex
import subprocess
import sys

import pytest

from tests.support.workflow import ROOT


def sphinx_arguments(output: str) -> list[str]:
    """Return the arguments of Sphinx in the Makefile with another folder of the site."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (command,) = re.findall(r"^docs:.*\n\t@\$\(RUN\) (.*)$", makefile, re.MULTILINE)
    return [output if word == "docs/_build" else word for word in shlex.split(command)]


@pytest.mark.slow
def test_site_is_built_without_warnings(tmp_path):
    arguments = [sys.executable, "-m", *sphinx_arguments(str(tmp_path / "site"))]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    pages = {path.with_suffix("").name for path in (ROOT / "docs/reference").glob("*.md")}
    assert pages == {path.stem for path in (tmp_path / "site/reference").glob("*.html")}
    # A link to a file of the repository is a copy of the file: the site is complete by itself.
    licences = (tmp_path / "site/reference/licences.html").read_text(encoding="utf-8")
    (copy,) = re.findall(r'href="\.\./(_downloads/\w+/LICENSE)"', licences)
    assert (tmp_path / "site" / copy).read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_sphinx_fails_on_warnings():
    assert "--fail-on-warning" in sphinx_arguments("site")

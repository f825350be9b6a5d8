"""The modules that a script imports, found without running it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from synscale.workflow import rule_names
from synscale.workflow.code_inputs import Script, imports
from tests.support.workflow import ROOT

RULES = rule_names.rules()
CHEAP = sorted(rule for rule in RULES if rule.startswith(("plot_", "tabulate_", "fit_laws")))
SOME = ("fit_laws", "plot_per_class", "plot_samples", "tabulate_claims")

# Import the libraries once, then each script in a process forked from this one, and print the
# project's modules that it has loaded.
FORKS = """
import os, sys, importlib
import matplotlib.pyplot, pandas, pydantic, scipy.optimize, seaborn, statsmodels.api, yaml
import PIL.Image, pyarrow.parquet, webdataset
for script in sys.argv[1:]:
    sys.stdout.flush()
    if not (child := os.fork()):
        importlib.import_module(f"scripts.{script}")
        files = [
            module.__file__
            for name, module in sys.modules.items()
            if name.split(".")[0] in ("scripts", "synscale") and getattr(module, "__file__", None)
        ]
        print(script, *sorted(os.path.relpath(file) for file in files), flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{script}: cannot be imported")
"""


def imports_of(root: Path, files: dict[str, str]) -> tuple[set[str], set[str]]:
    """Modules and packages that scripts/run.py imports, in a project of these files."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    modules, packages = imports(root / "scripts/run.py", root)
    return {str(path.relative_to(root)) for path in modules}, packages


def test_imports_are_followed_through_modules(tmp_path):
    files = {
        "scripts/run.py": "import numpy.linalg\nfrom synscale import (\n one,\n two as other,\n)\n",
        "synscale/__init__.py": "",
        "synscale/one.py": "def late():\n    if True:\n        import synscale.three\n",
        "synscale/two.py": "try:\n from .four import x\nexcept ImportError:\n import pandas\n",
        "synscale/three.py": "from synscale import one",
        "synscale/four.py": "x = 1",
        "synscale/five.py": "import torch",
    }
    modules, packages = imports_of(tmp_path, files)
    assert modules == files.keys() - {"synscale/five.py"}
    assert packages == {"numpy", "pandas"}


def test_functions_of_a_package_on_the_way_do_not_count(tmp_path):
    files = {
        "scripts/run.py": "from synscale.parts import one",
        "synscale/__init__.py": "",
        "synscale/parts/__init__.py": "from .. import two\ndef f():\n from synscale import three",
        "synscale/parts/one.py": "",
        "synscale/two.py": "",
        "synscale/three.py": "",
    }
    modules, _ = imports_of(tmp_path, files)
    assert modules == files.keys() - {"synscale/three.py"}
    modules, _ = imports_of(tmp_path, {"scripts/run.py": "from synscale.parts import one, f"})
    assert modules == files.keys()


def test_edited_imports_are_found(tmp_path):
    files = {
        "scripts/run.py": "from scripts import one",
        "scripts/one.py": "",
        "scripts/two.py": "",
    }
    assert imports_of(tmp_path, files)[0] == {"scripts/run.py", "scripts/one.py"}
    modified = (tmp_path / "scripts/run.py").stat().st_mtime_ns
    (tmp_path / "scripts/run.py").write_text("from scripts import two")
    os.utime(tmp_path / "scripts/run.py", ns=(modified + 1, modified + 1))
    assert imports_of(tmp_path, {})[0] == {"scripts/run.py", "scripts/two.py"}


def test_code_has_every_module_that_python_loads(monkeypatch):
    monkeypatch.chdir(ROOT)
    done = subprocess.run([sys.executable, "-c", FORKS, *SOME], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = {script: set(files) for script, *files in map(str.split, done.stdout.splitlines())}
    assert loaded.keys() == set(SOME)
    for script, files in loaded.items():
        assert files <= set(Script(script).code(None)), script


@pytest.mark.parametrize("rule", CHEAP)
def test_cheap_rule_lists_the_code_of_its_script(rule):
    assert f'code=Script("{rule}").code,' in RULES[rule]
    assert re.search(rf'python -m scripts\.{rule} |command="{rule}\b', RULES[rule])


def test_expensive_rules_list_no_code():
    assert len(CHEAP) > 15
    assert not [
        rule
        for rule, text in RULES.items()
        if rule not in CHEAP and ("Script(" in text or ".py" in text)
    ]

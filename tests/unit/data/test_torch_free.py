"""Packages that jobs without torch import."""

import subprocess
import sys

import pytest

from tests.support.workflow import ROOT

IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, f"{sys.argv[1]}."):
    importlib.import_module(module.name)
names = ("torch", "torchvision", "timm", "open_clip", "transformers", "diffusers")
print(*[name for name in names if name in sys.modules])
"""


@pytest.mark.parametrize("package", ["synscale.data", "synscale.prompts"])
def test_package_imports_no_torch(package):
    command = [sys.executable, "-c", IMPORT_ALL, package]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []

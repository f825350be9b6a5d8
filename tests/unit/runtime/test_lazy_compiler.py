"""Stand-ins of torch's compiler: jobs do not import it, and compilation works as before."""

import json
import subprocess
import sys

from tests.support.workflow import ROOT

# The compiler imports sympy, whatever its modules are called.
IS_LOADED = "'sympy' in sys.modules"


def run(program: str) -> dict:
    """Return what a new process prints as JSON."""
    start = "import json, sys\n"
    done = subprocess.run(
        [sys.executable, "-c", start + program], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_lazy_modules_keep_compilation_possible():
    """In one process, as each start of torch takes seconds."""
    result = run(
        f"""
from synscale.runtime import lazy_compiler, torch_setup
import torch, torchvision, timm
stand_in = sys.modules["torch._dynamo"]
model = torch.nn.Linear(2, 2)
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
def step():
    optimizer.zero_grad()
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
step()
calls = []
@torch.compiler.disable
def untraced(x):
    calls.append(torch.compiler.is_compiling())
    return x + 1
@torch.compiler.disable()
def untraced_too(x):
    return untraced(x)
untraced_too(torch.ones(1))
before = {IS_LOADED}
def backend(graph, inputs):
    graphs.append(len(graph.graph.nodes))
    return graph
graphs = []
compiled = torch.compile(lambda x: untraced_too(x * 2) * 3, backend=backend)
value = compiled(torch.ones(1)).item()
step()
import torch._dynamo.utils, torch._dynamo.eval_frame
real = sys.modules["torch._dynamo"]
print(json.dumps({{
    "before": before,
    "after": {IS_LOADED},
    "value": value,
    "graphs": len(graphs),
    "compiling": calls,
    "replaced": torch._dynamo is real is not stand_in,
    "delegates": stand_in.config is real.config,
    "utils": real.utils is torch._dynamo.utils is sys.modules["torch._dynamo.utils"],
    "supported": sys.modules["torchvision.ops.roi_align"].is_compile_supported("cpu"),
}}))
"""
    )
    assert result == {
        "before": False,
        "after": True,
        "value": 9.0,
        "graphs": 2,  # before and after the untraced function
        "compiling": [False, False],
        "replaced": True,
        "delegates": True,
        "utils": True,
        "supported": True,
    }


def test_stand_ins_are_replaced_by_import_of_other_module():
    result = run(
        f"""
from synscale.runtime import torch_setup
before = {IS_LOADED}
import torch, torch._dynamo.eval_frame
modules = [name for name in sys.modules if name.startswith("torch._dynamo.")]
children = {{name.split(".")[2] for name in modules}}
same = all(getattr(torch._dynamo, name) is sys.modules["torch._dynamo." + name]
           for name in children & {{"utils", "eval_frame", "config"}})
spec = sys.modules["torch._dynamo.eval_frame"].__spec__
compiled = torch.compile(lambda x: x + 1, backend="eager")
print(json.dumps([before, {IS_LOADED}, same, spec.origin is not None,
                  compiled(torch.ones(1)).item()]))
"""
    )
    assert result == [False, True, True, True, 2.0]


def test_stand_ins_are_not_installed_after_the_compiler():
    result = run(
        """
import torch._dynamo
real = sys.modules["torch._dynamo"]
from synscale.runtime import lazy_compiler, torch_setup
print(json.dumps([torch._dynamo is real, lazy_compiler.load() is real]))
"""
    )
    assert result == [True, True]

"""Checks of a site file: names of rules, resources and partition keys, and types of values."""

import difflib
import re
from functools import cache
from pathlib import Path

import yaml

from scripts.lib.site import MEMORY, TEXTS, Partition, Site

RULES = Path(__file__).resolve().parents[2] / "rules"

KEYS = (
    "account",
    "qos",
    "gpu_model",
    "constraint",
    "partitions",
    "default-resources",
    "set-resources",
    "set-threads",
)
# Resources that Snakemake and its SLURM plugin know, next to TEXTS: counts and amounts (numbers, sizes, expressions).
COUNTS = (
    "gpu",
    "nodes",
    "tasks",
    "tasks_per_node",
    "tasks_per_gpu",
    "cpus_per_task",
    "cpus_per_gpu",
)
SIZES = (*MEMORY, "disk", "disk_mb", "disk_mib")
AMOUNTS = (*SIZES, "mem_mb_per_cpu", "runtime", "gpu_hours", "disk_gb", "tmpdir")
# Keys of a partition that the plugin reads.
LIMITS = (
    "max_mem_mb",
    "max_threads",
    "max_gpu",
    "max_nodes",
    "max_cpus_per_task",
    "max_mem_mb_per_cpu",
    "max_cpus_per_gpu",
    "max_tasks",
    "max_tasks_per_node",
    "max_mpi_tasks",
)
LISTS = ("available_gpu_models", "available_constraints")
CLUSTERS = ("slurm_cluster", "cluster", "clusters")
PARTITION_KEYS = ("max_runtime", *LIMITS, *LISTS, "supports_mpi", *CLUSTERS)

GRES = (
    "not supported: version 2.8 of snakemake-executor-plugin-slurm requests GPUs by `sbatch --gpus` and refuses "
    "gres next to gpu; remove it, and ask your site how jobs may use --gpus if sbatch accepts --gres only"
)


@cache
def rules() -> dict[str, str]:
    """Return the text of each rule of the workflow by the rule's name."""
    texts = {}
    for path in sorted(RULES.glob("*.smk")):
        for text in re.split(r"^(?:rule|checkpoint) ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            texts[text.split(":")[0].strip()] = text
    return texts


def rules_with(resource: str) -> list[str]:
    """Return the rules that declare a resource, such as `gpu` or `nodes`."""
    return [rule for rule, text in rules().items() if re.search(rf"^ +{resource}=", text, re.MULTILINE)]


def unknown(kind: str, name: str, known: tuple[str, ...]) -> str:
    """Describe an unknown name with the nearest known one.

    Parameters
    ----------
    kind : str
        What the name stands for, such as `rule`.
    name : str
        The unknown name.
    known : tuple of str
        Names that exist.
    """
    near = difflib.get_close_matches(name, known, n=1)
    return f"unknown {kind}; " + (f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}")


class Check:
    """Convert the content of a site file and note every problem on the way.

    Parameters
    ----------
    root : yaml.Node
        The same file as YAML nodes, which still have each value as it is written.
    """

    def __init__(self, root: yaml.Node):
        self.problems: list[str] = []
        self.written: dict[str, str] = {}
        self._walk(root, "")

    def _walk(self, node: yaml.Node, where: str) -> None:
        if isinstance(node, yaml.ScalarNode):
            self.written[where] = node.value
        elif isinstance(node, yaml.MappingNode):
            names = [key.value for key, _ in node.value]
            for name in {name for name in names if names.count(name) > 1}:
                self.note(f"{where}.{name}".lstrip("."), f"appears {names.count(name)} times; keep one")
            for key, value in node.value:
                self._walk(value, f"{where}.{key.value}".lstrip("."))

    def note(self, where: str, problem: str) -> None:
        self.problems.append(f"{where}: {problem}")

    def site(self, content: dict) -> Site:
        texts = {key: self.text(content[key], key) for key in ("account", "qos", "gpu_model", "constraint") if key in content}
        self.names(content, KEYS, "")
        self.model(content.get("gpu_model"), "gpu_model")
        resources = self.mapping(content, "set-resources", "rules and their resources")
        self.names(resources, tuple(rules()), "set-resources.", "rule")
        threads = self.mapping(content, "set-threads", "rules and their threads")
        self.names(threads, tuple(rules()), "set-threads.", "rule")
        return Site(
            partitions=tuple(self.partition(name, values) for name, values in self.mapping(content, "partitions", "partitions and their limits").items()),
            default_resources=self.resources(self.mapping(content, "default-resources", "resources"), "default-resources"),
            set_resources={rule: self.of_rule(rule, resources) for rule in resources},
            set_threads={rule: self.count(value, f"set-threads.{rule}", 1) for rule, value in threads.items()},
            **texts,
        )

    def names(self, found: dict, known: tuple[str, ...], prefix: str, kind: str = "key") -> None:
        """Note every key that is not known, with the nearest one."""
        for key in found:
            if key in known:
                continue
            if key == "gres":
                self.note(f"{prefix}{key}", GRES)
            elif not isinstance(key, str):
                self.note(f"{prefix}{key}", f"the {kind} is not text ({key!r}); write it in quotes")
            else:
                self.note(f"{prefix}{key}", unknown(kind, key, known))

    def mapping(self, parent: dict, key: str, content: str) -> dict:
        """Return parent[key], or {} if it is missing or no mapping, which is noted."""
        value = parent.get(key, {})
        if isinstance(value, dict) and (value or key not in parent):
            return value
        state = "empty" if not value else f"no mapping ({value!r})"
        self.note(key, f"is {state} (expected {content}); remove the key or fill it")
        return {}

    def text(self, value, where: str) -> str:
        written = self.written.get(where, "")
        if isinstance(value, str) and value.strip():
            return value
        if value is None or isinstance(value, str):
            self.note(where, "is empty (expected text); remove the key or give it a value")
        elif written:
            key = where.split(".")[-1]
            self.note(where, f'is not text ({written} is read as {value!r}); write it in quotes: {key}: "{written}"')
        else:
            self.note(where, f"is not text ({value!r}, expected one word or several in quotes); correct it")
        return ""

    def model(self, value, where: str) -> None:
        if isinstance(value, str) and value and not re.fullmatch(r"[A-Za-z0-9_.]+", value):
            self.note(
                where,
                f"not supported by snakemake-executor-plugin-slurm 2.8 ({value!r}, expected letters, digits, _ and .); "
                "remove it and choose the GPU by constraint, or name only partitions with this type",
            )

    def count(self, value, where: str, least: int) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value >= least:
            return value
        self.note(where, f"is no number ({self.written.get(where, value)}, expected an integer of at least {least})")
        return least

    def amount(self, value, where: str) -> int | str:
        written = self.written.get(where, "")
        if ":" in written and isinstance(value, int):
            self.note(where, f'is read as the number {value} ({written}); write it in quotes: "{written}"')
        elif isinstance(value, bool) or not isinstance(value, int | float | str) or value == "":
            self.note(where, f"is no amount ({written or value}, expected a number or an expression in quotes)")
        return value

    def of_rule(self, rule: str, parent: dict) -> dict[str, int | str]:
        where = f"set-resources.{rule}"
        values = parent[rule]
        if not isinstance(values, dict) or not values:
            self.note(where, f"is {'empty' if not values else 'no mapping'} (expected resource: value)")
            return {}
        values = self.resources(values, where)
        nodes = values.get("nodes", 1)
        gpus = values.get("gpu", 0)
        if nodes > 1 and rule not in rules_with("nodes"):
            able = " and ".join(rules_with("nodes"))
            self.note(where, f"nodes = {nodes}: only {able} can use several nodes; remove nodes")
        elif nodes > 1 and (not gpus or gpus % nodes):
            self.note(where, f"gpu = {gpus} is not divisible by nodes = {nodes}; gpu is the sum over all nodes")
        return values

    def resources(self, values: dict, where: str) -> dict[str, int | str]:
        self.names(values, (*COUNTS, *AMOUNTS, *TEXTS), f"{where}.", "resource")
        if len(sizes := [name for name in values if name in MEMORY]) > 1:
            self.note(where, f"names memory {len(sizes)} times ({', '.join(sizes)}); keep one")
        checked = {}
        for name, value in values.items():
            place = f"{where}.{name}"
            if name in COUNTS:
                checked[name] = self.count(value, place, 1 if name == "nodes" else 0)
            elif name in AMOUNTS:
                checked[name] = self.amount(value, place)
            elif name in TEXTS:
                checked[name] = self.text(value, place)
        self.model(checked.get("gpu_model"), f"{where}.gpu_model")
        return checked

    def partition(self, name, values) -> Partition:
        where = f"partitions.{name}"
        if not isinstance(name, str):
            self.note(where, f"the name is not text ({name!r}); write it in quotes")
        if not isinstance(values, dict):
            self.note(where, "is no mapping (expected limits); write {} for a partition without limits")
            return Partition(str(name))
        self.names(values, PARTITION_KEYS, f"{where}.")
        limits = {key: self.count(values[key], f"{where}.{key}", 0 if key == "max_gpu" else 1) for key in LIMITS if key in values}
        threads = [limits[key] for key in ("max_threads", "max_cpus_per_task") if key in limits]
        lists = {key: self.texts(values[key], f"{where}.{key}") for key in LISTS if key in values}
        if not isinstance(values.get("supports_mpi", True), bool):
            self.note(f"{where}.supports_mpi", "is neither true nor false")
        return Partition(
            name=str(name),
            max_runtime=self.minutes(values["max_runtime"], f"{where}.max_runtime") if "max_runtime" in values else None,
            max_mem_mb=limits.get("max_mem_mb"),
            max_threads=min(threads, default=None),
            max_gpu=limits.get("max_gpu", 0),
            max_nodes=limits.get("max_nodes"),
            gpu_models=lists.get("available_gpu_models", ()),
            constraints=lists.get("available_constraints", ()),
            cluster=next((self.text(values[key], f"{where}.{key}") for key in CLUSTERS if key in values), None),
        )

    def texts(self, values, where: str) -> tuple[str, ...]:
        if isinstance(values, list) and all(isinstance(value, str) for value in values):
            return tuple(values)
        self.note(where, f"is no list of texts ({values!r}); write [one, another], numbers in quotes")
        return ()

    def minutes(self, value, where: str) -> int | None:
        """Convert a time as the plugin does, which reads the same file."""
        written = self.written.get(where, "")
        if ":" in written and isinstance(value, int):
            self.note(where, f'is read as {value} minutes ({written}); write it in quotes: "{written}"')
            return None
        from snakemake_executor_plugin_slurm.utils import parse_time_to_minutes
        from snakemake_interface_common.exceptions import WorkflowError

        try:
            number = 0 if isinstance(value, bool) else parse_time_to_minutes(value)
        except WorkflowError:
            number = 0
        if number < 1:
            self.note(where, f'is no time ({written or value}, expected minutes or a text such as 12h, 2d, "1-12:00:00")')
            return None
        return number

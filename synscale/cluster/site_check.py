"""Checks of a site file: names of rules, resources and partition keys, and types of values."""

import re

import yaml

from synscale.cluster.site import MEMORY, TEXTS, Partition, Site
from synscale.workflow.rule_names import rules, rules_with, unknown

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
# Resources that Snakemake and its SLURM plugin know, next to TEXTS: counts, and amounts, which are
# numbers, sizes or expressions.
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
    "not supported: version 2.8 of snakemake-executor-plugin-slurm requests GPUs by "
    "`sbatch --gpus` and refuses gres next to gpu; remove it, and ask your site how jobs "
    "may use --gpus if sbatch accepts --gres only"
)


class Check:
    """Convert the content of a site file and note every problem on the way.

    Methods take a value and `where`, the keys that lead to it, and return the converted value, or
    a harmless one after a problem.

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
            names = [str(key.value) for key, _ in node.value]
            for name in {name for name in names if names.count(name) > 1}:
                place = f"{where}.{name}".lstrip(".")
                self.note(place, f"appears {names.count(name)} times; keep one")
            for key, value in node.value:
                self._walk(value, f"{where}.{key.value}".lstrip("."))

    def note(self, where: str, problem: str) -> None:
        """Note a problem."""
        self.problems.append(f"{where}: {problem}")

    def site(self, content: dict) -> Site:
        """Convert the content of the file."""
        keys = [key for key in ("account", "qos", "gpu_model", "constraint") if key in content]
        texts = {key: self.text(content[key], key) for key in keys}
        self.names(content, KEYS, "")
        self.model(content.get("gpu_model"), "gpu_model")
        resources = self.mapping(content, "set-resources", "rules and their resources")
        self.names(resources, tuple(rules()), "set-resources.", "rule")
        threads = self.mapping(content, "set-threads", "rules and their threads")
        self.names(threads, tuple(rules()), "set-threads.", "rule")
        defaults = self.mapping(content, "default-resources", "resources")
        partitions = self.mapping(content, "partitions", "partitions and their limits")
        return Site(
            partitions=tuple(self.partition(name, limits) for name, limits in partitions.items()),
            default_resources=self.resources(defaults, "default-resources"),
            set_resources={rule: self.of_rule(rule, resources) for rule in resources},
            set_threads={rule: self.threads(rule, threads) for rule in threads},
            **texts,
        )

    def names(self, keys: dict, known: tuple[str, ...], prefix: str, kind: str = "key") -> None:
        """Note every key that is not known, with the nearest one."""
        for key in keys:
            if key in known:
                continue
            if key == "gres":
                self.note(f"{prefix}{key}", GRES)
            elif not isinstance(key, str):
                self.note(f"{prefix}{key}", f"the {kind} is not text ({key!r}); write it in quotes")
            else:
                self.note(f"{prefix}{key}", unknown(kind, key, known))

    def threads(self, rule: str, threads: dict) -> int:
        """Convert the threads of a rule."""
        return self.count(threads[rule], f"set-threads.{rule}", 1)

    def mapping(self, parent: dict, key: str, content: str) -> dict:
        """Return parent[key], or {} if it is missing or no mapping, which is noted."""
        value = parent.get(key, {})
        if isinstance(value, dict) and (value or key not in parent):
            return value
        state = "empty" if not value else f"no mapping ({value!r})"
        self.note(key, f"is {state} (expected {content}); remove the key or fill it")
        return {}

    def text(self, value, where: str) -> str:
        """Convert text, which must not be empty."""
        written = self.written.get(where, "")
        if isinstance(value, str) and value.strip():
            return value
        if value is None or isinstance(value, str):
            self.note(where, "is empty (expected text); remove the key or give it a value")
        elif written:
            fix = f'write it in quotes: {where.split(".")[-1]}: "{written}"'
            self.note(where, f"is not text ({written} is read as {value!r}); {fix}")
        else:
            self.note(
                where,
                f"is not text ({value!r}, expected one word or several in quotes); correct it",
            )
        return ""

    def model(self, value, where: str) -> None:
        """Note a GPU model whose name the plugin does not accept."""
        if isinstance(value, str) and value and not re.fullmatch(r"[A-Za-z0-9_.]+", value):
            self.note(
                where,
                f"not supported by snakemake-executor-plugin-slurm 2.8 ({value!r}, "
                "expected letters, digits, _ and .); remove it and choose the GPU by constraint, "
                "or name only partitions with this type",
            )

    def count(self, value, where: str, least: int) -> int:
        """Convert an integer of at least `least`."""
        if isinstance(value, int) and not isinstance(value, bool) and value >= least:
            return value
        number = self.written.get(where, value)
        self.note(where, f"is no number ({number}, expected an integer of at least {least})")
        return least

    def amount(self, value, where: str) -> int | str:
        """Convert a number, size or expression."""
        written = self.written.get(where, "")
        if ":" in written and isinstance(value, int):
            quotes = f'write it in quotes: "{written}"'
            self.note(where, f"is read as the number {value} ({written}); {quotes}")
        elif isinstance(value, bool) or not isinstance(value, int | float | str) or value == "":
            self.note(
                where,
                f"is no amount ({written or value}, expected a number or an expression in quotes)",
            )
        return value

    def of_rule(self, rule: str, parent: dict) -> dict[str, int | str]:
        """Convert the resources of a rule."""
        where = f"set-resources.{rule}"
        values = parent[rule]
        if not isinstance(values, dict) or not values:
            state = "no mapping" if values else "empty"
            self.note(where, f"is {state} (expected resource: value)")
            return {}
        values = self.resources(values, where)
        nodes = int(values.get("nodes", 1))
        gpus = int(values.get("gpu", 0))
        if nodes > 1 and rule not in rules_with("nodes"):
            able = " and ".join(rules_with("nodes"))
            self.note(where, f"nodes = {nodes}: only {able} can use several nodes; remove nodes")
        elif nodes > 1 and (not gpus or gpus % nodes):
            self.note(
                where,
                f"gpu = {gpus} is not divisible by nodes = {nodes}; gpu is the sum over all nodes",
            )
        return values

    def resources(self, values: dict, where: str) -> dict[str, int | str]:
        """Convert resources by name."""
        self.names(values, (*COUNTS, *AMOUNTS, *TEXTS), f"{where}.", "resource")
        if len(sizes := [name for name in values if name in MEMORY]) > 1:
            self.note(where, f"names memory {len(sizes)} times ({', '.join(sizes)}); keep one")
        checked: dict[str, int | str] = {}
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
        """Convert the limits of a partition."""
        where = f"partitions.{name}"
        if not isinstance(name, str):
            self.note(where, f"the name is not text ({name!r}); write it in quotes")
        if not isinstance(values, dict):
            self.note(where, "is no mapping (expected limits); write {} for no limits")
            return Partition(str(name))
        self.names(values, PARTITION_KEYS, f"{where}.")
        limits = {}
        for key in (key for key in LIMITS if key in values):
            limits[key] = self.count(values[key], f"{where}.{key}", 0 if key == "max_gpu" else 1)
        threads = [limits[key] for key in ("max_threads", "max_cpus_per_task") if key in limits]
        lists = {key: self.texts(values[key], f"{where}.{key}") for key in LISTS if key in values}
        if not isinstance(values.get("supports_mpi", True), bool):
            value = repr(values["supports_mpi"])
            self.note(f"{where}.supports_mpi", f"is no boolean ({value}, expected true or false)")
        return Partition(
            name=str(name),
            max_runtime=self.minutes(values.get("max_runtime"), f"{where}.max_runtime"),
            max_mem_mb=limits.get("max_mem_mb"),
            max_threads=min(threads, default=None),
            max_gpu=limits.get("max_gpu", 0),
            max_nodes=limits.get("max_nodes"),
            gpu_models=lists.get("available_gpu_models", ()),
            constraints=lists.get("available_constraints", ()),
            cluster=next(
                (self.text(values[key], f"{where}.{key}") for key in CLUSTERS if key in values),
                None,
            ),
        )

    def texts(self, values, where: str) -> tuple[str, ...]:
        """Convert a list of texts."""
        if isinstance(values, list) and all(isinstance(value, str) for value in values):
            return tuple(values)
        fix = "write [one, another], numbers in quotes"
        self.note(where, f"is no list of texts ({values!r}); {fix}")
        return ()

    def minutes(self, value, where: str) -> int | None:
        """Convert a time as the plugin does, which reads the same file."""
        if value is None and where not in self.written:
            return None
        written = self.written.get(where, "")
        if isinstance(value, int) and ":" in written:
            quotes = f'write it in quotes: "{written}"'
            self.note(where, f"is read as {value} minutes ({written}); {quotes}")
            return None
        from snakemake_executor_plugin_slurm.utils import parse_time_to_minutes
        from snakemake_interface_common.exceptions import WorkflowError

        try:
            number = 0 if isinstance(value, bool) else parse_time_to_minutes(value)
        except WorkflowError:
            number = 0
        if number < 1:
            times = 'minutes or a text such as 12h, 2d, "1-12:00:00"'
            self.note(where, f"is no time ({written or value}, expected {times})")
            return None
        return number

"""Answers, with Ansible's own code, what inventories hold: one JSON request a line, one JSON answer a line.

Request: {"sources": [PATH...], "patterns": [TEXT...]}
Answer: {"parsed": bool, "list": text of ansible-inventory --list, "graph": text of --graph, "order": [HOST...],
         "patterns": [{"limited": [HOST...], "named": [HOST...]} or null...]}; null for a pattern that Ansible warns
         about or refuses.
"""
import json
import os
import shutil
import sys
import tempfile

home = tempfile.mkdtemp(prefix="portcullis-ansible-")
os.environ.update(
    HOME=home, ANSIBLE_HOME=home, ANSIBLE_CONFIG=os.path.join(home, "none.cfg"), ANSIBLE_NOCOLOR="1",
    ANSIBLE_DEPRECATION_WARNINGS="0", LC_ALL="C.UTF-8")
os.chdir(home)

from ansible import context  # noqa: E402
from ansible.cli.inventory import InventoryCLI  # noqa: E402
from ansible.inventory.group import Group  # noqa: E402
from ansible.inventory.manager import InventoryManager, split_host_pattern  # noqa: E402
from ansible.parsing.dataloader import DataLoader  # noqa: E402
from ansible.utils.display import Display  # noqa: E402
from ansible.vars.manager import VariableManager  # noqa: E402


def walk(self, rel, include_self=False, preserve_ordering=False):
    """Ansible goes through one level of groups in the order of a set of objects, which is that of their addresses. This
    is the same walk in the order in which the groups were added."""
    ordered = [self] if include_self else []
    level = list(getattr(self, rel))
    ordered.extend(level)
    seen = set(ordered)
    while level:
        following = []
        for group in level:
            for other in getattr(group, rel):
                if other not in seen:
                    seen.add(other)
                    following.append(other)
        ordered.extend(following)
        level = following
    return ordered if preserve_ordering else set(ordered)


Group._walk_relationship = walk

warnings = []
Display.warning = lambda self, msg, *args, **kwargs: warnings.append(str(msg))
Display.error_as_warning = lambda self, *args, **kwargs: warnings.append(str(args) + str(kwargs))
Display.deprecated = lambda self, *args, **kwargs: None

cli = InventoryCLI(["ansible-inventory", "--list"])
cli.parse()


def matching(inventory, pattern):
    """What `ansible all --limit PATTERN --list-hosts` prints, and `ansible PATTERN --list-hosts`."""
    warnings.clear()
    try:
        inventory.subset(pattern)
        limited = [host.name for host in inventory.get_hosts("all")]
        inventory.subset(None)
        named = [host.name for host in inventory.get_hosts(pattern)]
        # A part that matches nothing is no warning to Ansible where a slice is empty, and where it invents a localhost.
        parts = [part.lstrip("&!") for part in split_host_pattern(pattern)]
        empty = any(all(host.implicit for host in inventory._evaluate_patterns([part])) for part in parts)
    except Exception:
        return None
    finally:
        inventory.subset(None)
    return None if warnings or empty or not limited else {"limited": limited, "named": named}


def answer(request):
    warnings.clear()
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=request["sources"])
    unparsed = [text for text in warnings if "parse" in text.lower()]
    cli.loader, cli.inventory, cli.vm = loader, inventory, VariableManager(loader=loader, inventory=inventory)
    return {
        "parsed": not unparsed,
        "warnings": list(warnings),
        "list": cli.dump(cli.json_inventory(inventory.groups["all"])),
        "graph": cli.inventory_graph(),
        "order": [host.name for host in inventory.get_hosts("all")],
        "patterns": [matching(inventory, pattern) for pattern in request["patterns"]],
    }


out = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
for line in sys.stdin:
    try:
        result = answer(json.loads(line))
    except Exception as problem:
        result = {"error": repr(problem)}
    out.write(json.dumps(result) + "\n")
    out.flush()
os.chdir("/")
shutil.rmtree(home, ignore_errors=True)

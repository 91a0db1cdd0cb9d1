"""`fishnet VERB --help`: what the verb does, in its own docstring; the groups to choose from; its keys as they are set.

Nothing that is heavy is imported; the comments beside the keys are those of the YAML files.
"""

import re
from collections.abc import Iterator
from importlib.resources import files

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf, open_dict

from .compose import parsed

COMMENTED = re.compile(r"^(?P<indent> *)(?P<key>[\w]+):(?P<value>[^#]*)(?:#\s*(?P<comment>.*))?$")
COLUMN = 34  # where comments begin, unless a value is longer


def help_text(doc: str, verb: str, overrides: list[str], searchpath: list[str]) -> str:
    """`overrides` are composed first, so that `fishnet train data=folder --help` shows the keys of a folder."""
    with initialize_config_module("fishnet.conf", version_base="1.3"):
        config = compose(verb, overrides=[*overrides, *searchpath], return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        choices = {name: str(choice) for name, choice in config.hydra.runtime.choices.items()}
        groups = {
            name: [choice] for name, choice in choices.items() if not name.startswith("hydra") and "/" not in name
        }
        for override in parsed(overrides):  # callbacks=[audit,exchange] is no choice to Hydra
            chosen = override.value()
            if override.key_or_group in loader.list_groups("") and isinstance(chosen, list):
                groups[override.key_or_group] = [str(name) for name in chosen]
        options = {name: loader.get_group_options(name) for name in groups}
    with open_dict(config):
        del config["hydra"]
    yaml = [line for line in OmegaConf.to_yaml(config).splitlines() if not re.match(r" *_\w+_:", line)]
    lines = [doc.strip(), ""]
    if groups:
        lines += ["Groups (group=name)", *(f"  {name}: {', '.join(options[name])}" for name in sorted(groups)), ""]
    known = comments(verb, groups)
    notes = {number: known.get(key, "") for number, key, _ in keys_of(yaml)}
    lines.append("Keys (key=value)")
    lines += [f"{line:{COLUMN}s} # {notes[n]}" if notes.get(n) else line for n, line in enumerate(yaml)]
    many = ", a group is chosen as group=name; -m sweeps over commas." if verb == "train" else "."
    return "\n".join([*lines, f"Any key above is set as key=value{many}"])


def comments(verb: str, groups: dict[str, list[str]]) -> dict[str, str]:
    """Dotted key → the comment beside it, from the verb's own file and the chosen ones of its groups."""
    chosen = [(f"{group}.", f"{group}/{name}.yaml") for group, names in groups.items() for name in names]
    sources = [("", f"{verb}.yaml"), *chosen]
    known: dict[str, str] = {}
    while sources:
        prefix, name = sources.pop(0)
        path = files("fishnet.conf").joinpath(name)
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        for _, key, comment in keys_of(text.splitlines()):
            known.setdefault(prefix + key, comment)
        for base in re.findall(r"^  - (\w+)$", text, flags=re.M):  # - folder: another file of the same group
            sources.append((prefix, f"{name.rpartition('/')[0]}/{base}.yaml".lstrip("/")))
    return known


def keys_of(lines: list[str]) -> Iterator[tuple[int, str, str]]:
    """The number, the dotted key and the comment of each line that holds a key."""
    above: list[tuple[int, str]] = []
    for number, line in enumerate(lines):
        if match := COMMENTED.match(line):
            indent = len(match["indent"])
            above = [(level, key) for level, key in above if level < indent] + [(indent, match["key"])]
            yield number, ".".join(key for _, key in above), match["comment"] or ""

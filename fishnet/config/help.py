"""`fishnet VERB --help`: what the verb does, in its own docstring; the groups to choose from; its keys as they are set.

Nothing that is heavy is imported; the comments beside the keys are those of the YAML files.
"""

import re
from importlib.resources import files

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf, open_dict

COMMENTED = re.compile(r"^(?P<indent> *)(?P<key>[\w]+):(?P<value>[^#]*)(?:#\s*(?P<comment>.*))?$")
COLUMN = 34  # where comments begin, unless a value is longer


def help_text(doc: str, verb: str, overrides: list[str], searchpath: list[str]) -> str:
    """`overrides` are composed first, so that `fishnet train data=folder --help` shows the keys of a folder."""
    with initialize_config_module("fishnet.conf", version_base="1.3"):
        config = compose(verb, overrides=[*overrides, *searchpath], return_hydra_config=True)
        choices = {name: str(choice) for name, choice in config.hydra.runtime.choices.items()}
        groups = {name: choice for name, choice in choices.items() if not name.startswith("hydra") and "/" not in name}
        options = {name: GlobalHydra.instance().config_loader().get_group_options(name) for name in groups}
    with open_dict(config):
        del config["hydra"]
    yaml = [line for line in OmegaConf.to_yaml(config).splitlines() if not re.match(r" *_\w+_:", line)]
    lines = [doc.strip(), ""]
    if groups:
        lines += ["Groups (group=name)", *(f"  {name}: {', '.join(options[name])}" for name in sorted(groups)), ""]
    lines += ["Keys (key=value)", *commented(yaml, comments(verb, groups))]
    many = ", a group is chosen as group=name; -m sweeps over commas." if verb == "train" else "."
    return "\n".join([*lines, f"Any key above is set as key=value{many}"])


def comments(verb: str, groups: dict[str, str]) -> dict[str, str]:
    """Dotted key → the comment beside it, from the verb's own file and the chosen ones of its groups."""
    sources = [("", f"{verb}.yaml"), *((f"{group}.", f"{group}/{name}.yaml") for group, name in groups.items())]
    known: dict[str, str] = {}
    while sources:
        prefix, name = sources.pop(0)
        path = files("fishnet.conf").joinpath(name)
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        for key, line in keys_of(text.splitlines()):
            known.setdefault(prefix + key, line["comment"] or "")
        for base in re.findall(r"^  - (\w+)$", text, flags=re.M):  # - folder: another file of the same group
            sources.append((prefix, f"{name.rpartition('/')[0]}/{base}.yaml".lstrip("/")))
    return known


def commented(lines: list[str], known: dict[str, str]) -> list[str]:
    notes = dict(keys_of(lines, numbered=True))
    return [
        f"{line:{COLUMN}s} # {comment}" if (comment := known.get(notes.get(number, ""))) else line
        for number, line in enumerate(lines)
    ]


def keys_of(lines: list[str], *, numbered: bool = False) -> list[tuple]:
    """(dotted key, its match) of each line that holds a key; `numbered`: (line number, dotted key)."""
    above: list[tuple[int, str]] = []
    pairs: list[tuple] = []
    for number, line in enumerate(lines):
        match = COMMENTED.match(line)
        if match is None:
            continue
        indent = len(match["indent"])
        above = [(level, key) for level, key in above if level < indent] + [(indent, match["key"])]
        dotted = ".".join(key for _, key in above)
        pairs.append((number, dotted) if numbered else (dotted, match))
    return pairs

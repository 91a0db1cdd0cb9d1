"""What people type in a shell → Hydra's override grammar.

Hydra refuses brackets, spaces, `=`, `'`, `~` and accents in a bare value and takes a comma for a sweep. For keys that
hold free text, the value is put in quotes before Hydra sees it.
"""

import re
from functools import cache
from pathlib import Path

FREE_TEXT_OF_SEAMS = {
    *("data.root", "data.manifest", "data.curation", "data.group", "data.positive", "data.split_file", "data.cache"),
    *("model.pretrained", "tracking.uri", "tracking.experiment"),
    *("callbacks.exchange.carriers", "callbacks.exchange.mended_from"),
}
KEYS_ELSEWHERE = {"collect": "fishnet.collect.plan.Plan"}  # others: class Keys of commands/<verb>.py
_GROUPS = {"study", "experiment", "data", "model", "trainer", "callbacks", "tracking"}
# what a network or a protocol leaves out is no key of the configuration yet: Hydra adds it after `++`
OPEN_BRANCHES = ("model.backbone_args", "study.", "executor_args")
_WORDS = {"null", "true", "false", "none", ""}
_SWEEPS = ("choice(", "range(", "glob(", "interval(")


def quoted(argument: str, verb: str) -> str:
    """The argument with its value quoted when its key holds free text; everything else as it came."""
    if argument.startswith("model=") and verb == "serve":  # elsewhere model is a group of settings, here a model
        argument = f"checkpoint={argument.removeprefix('model=')}"
    key, sign, value = argument.partition("=")
    if key.startswith(OPEN_BRANCHES):
        return f"++{argument}"
    if key in _GROUPS and _is_name(value):
        return f"{key}={quote(value)}"
    if not sign or key.lstrip("+") not in FREE_TEXT_OF_SEAMS | free_text(verb):
        return argument
    if value.lower() in _WORDS or value.startswith(_SWEEPS):
        return argument
    if _is_quoted(value):
        return f"{key}={_escaped(value)}"
    return f"{key}={quote(value)}"


@cache
def free_text(verb: str) -> frozenset[str]:
    """The verb's own keys that are annotated as FreeText, read from its source: nothing is imported for it."""
    module = KEYS_ELSEWHERE.get(verb, f"fishnet.commands.{verb}.Keys").rpartition(".")[0]
    source = Path(__file__).parents[2].joinpath(*module.split(".")).with_suffix(".py")
    annotated = re.findall(r"^ +(\w+): .*\bFreeText\b", source.read_text(encoding="utf-8"), flags=re.M)
    return frozenset(annotated)


def quote(value: str) -> str:
    """A single-quoted Hydra string: quotes are escaped, and so are backslashes that stand before one."""
    value = _escaped(value)
    escaped = []
    backslashes = 0
    for sign in value:
        if sign == "\\":
            backslashes += 1
            continue
        escaped.append("\\" * (backslashes * 2 + 1 if sign == "'" else backslashes) + sign)
        backslashes = 0
    return "'" + "".join(escaped) + "\\" * (backslashes * 2) + "'"


def _escaped(value: str) -> str:
    """A folder may be called ${HOME}; the variable is not meant."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value)


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] and value[0] in "'\""


def _is_name(value: str) -> bool:
    """A protocol may be called `2020`, `inf` or `a b`: Hydra is to take it for a name."""
    if value.startswith((*"[{$", *_SWEEPS)) or _is_quoted(value):
        return False
    try:
        float(value)
    except ValueError:
        return re.fullmatch(r"[\w/,.-]*", value, flags=re.ASCII) is None
    return True

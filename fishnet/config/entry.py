"""How a verb starts and ends: Hydra composes, the input is checked, the work runs, one sentence says what failed.

Everything here runs before torch is imported.
"""

import logging
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from fishnet.errors import BadInput, Interrupted, WorkFailed, disk_trouble
from fishnet.text import nearest

from .validate import validate

log = logging.getLogger("fishnet")

CONF = "pkg://fishnet.conf"
LAST_WORD = 30.0  # seconds
MULTIRUN = ("-m", "--multirun")
WITH_VALUE = ("--config-dir", "-cd")
MOST_CHECKED = 50  # values of one sweep that are checked before anything starts


def start(work: Callable[[DictConfig], object], config_name: str, sweep: Callable | None = None) -> None:
    """Run a verb and leave with its exit status: 0, 1 (the work failed), 2 (bad input), 128 + signal."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us as they are; the sentence is ours to write

    failures: list[BadInput | WorkFailed] = []

    def job(config: DictConfig) -> object:
        try:
            return work(config)
        except (BadInput, WorkFailed, HydraException, OmegaConfBaseException, OSError) as raised:
            error = in_our_words(raised, config_name)
            _say(error)
            if not _in_this_process():
                raise error from raised
            failures.append(error)  # the sweep goes on, and Hydra adds no words of its own
            return None

    def jobs() -> None:
        main()
        if failures:
            raise failures[0]

    sys.argv[1:] = options_first(sys.argv[1:])
    parser = get_args_parser()
    parser.error = lambda message: _misused(message, config_name)  # type: ignore[method-assign]
    arguments = parser.parse_args()
    try:
        main = hydra.main(version_base="1.3", config_path=CONF, config_name=config_name)(job)
        if arguments.multirun and not (arguments.help or arguments.cfg or arguments.info or arguments.hydra_help):
            base = check_sweep(arguments.overrides, config_name, arguments.config_dir)
            sweep(base, arguments.overrides, jobs) if sweep is not None else jobs()
        else:
            jobs()
    except (BadInput, WorkFailed) as error:
        _say(error)
        _leave(error.status)
    except Interrupted as interrupted:
        _leave(128 + interrupted.signal)
    except KeyboardInterrupt:
        _leave(130)
    except BrokenPipeError:  # `fishnet train --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (HydraException, OmegaConfBaseException, OSError, ValueError) as raised:
        ours = in_our_words(raised, config_name)
        _say(ours)
        raise SystemExit(ours.status) from None


def options_first(words: list[str]) -> list[str]:
    """Options may stand anywhere, though argparse wants all overrides on one side of them."""
    options: list[str] = []
    rest: list[str] = []
    for place, word in enumerate(words):
        chosen = word in MULTIRUN or word in WITH_VALUE or (place > 0 and words[place - 1] in WITH_VALUE)
        (options if chosen else rest).append(word)
    return [*options, *rest]


def _misused(message: str, verb: str) -> NoReturn:
    _say(BadInput(f"{message.rstrip('.')}; `fishnet {verb} --help` says how it is used."))
    raise SystemExit(BadInput.status)


def in_our_words(error: Exception, config_name: str) -> BadInput | WorkFailed:
    """What a constructor of ours has refused comes wrapped by Hydra; the rest is Hydra's own complaint.

    What the file system says is a defect of ours and comes out as it is, unless the disk is full.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (BadInput, WorkFailed)):
            return cause
        if isinstance(cause, OSError) and (full := disk_trouble(cause)):
            return full
        cause = cause.__cause__
    if isinstance(error, ValueError) and "Config group override" in str(error):
        return BadInput("a group of settings (data, model, trainer, callbacks …) names one of its files, never null.")
    if isinstance(error, (OSError, ValueError)) and not isinstance(error, (HydraException, OmegaConfBaseException)):
        raise error
    return BadInput(explain(error, config_name))


def _leave(status: int) -> NoReturn:
    """One of several processes lets the first have the last word: Lightning kills that one when another has failed."""
    first = os.getppid()
    deadline = time.monotonic() + LAST_WORD
    while os.environ.get("LOCAL_RANK", "0") != "0" and os.getppid() == first and time.monotonic() < deadline:
        time.sleep(0.1)
    raise SystemExit(status) from None


def _in_this_process() -> bool:
    return HydraConfig.get().launcher._target_.endswith("BasicLauncher")


def _say(error: BadInput | WorkFailed) -> None:
    """Once an error: a sweep meets the same one again when it ends."""
    if not getattr(error, "said", False):
        print(f"fishnet: {error}", file=sys.stderr, flush=True)
        error.said = True  # type: ignore[union-attr]


def job_folder() -> Path | None:
    """A sweep's job has a numbered folder that Hydra names; a single run has none."""
    hydra = HydraConfig.get()
    return Path(hydra.runtime.output_dir) if hydra.mode == RunMode.MULTIRUN else None


def compose(config_name: str, overrides: list[str], config_dir: str | None = None) -> DictConfig:
    """A verb's configuration without running it."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_module
    from hydra.core.global_hydra import GlobalHydra

    if GlobalHydra.instance().is_initialized():  # inside a verb: with its own search path
        return hydra_compose(config_name, overrides=overrides)
    extra = [f"hydra.searchpath=[file://{os.path.abspath(config_dir)}]"] if config_dir else []
    with initialize_config_module("fishnet.conf", version_base="1.3"):
        return hydra_compose(config_name, overrides=[*overrides, *extra])


def parsed(overrides: list[str]) -> list[Override]:
    return OverridesParser.create().parse_overrides(overrides)


def swept_keys(overrides: list[str]) -> list[str]:
    return [override.get_key_element() for override in parsed(overrides) if override.is_sweep_override()]


def check_sweep(overrides: list[str], config_name: str, config_dir: str | None) -> DictConfig:
    """Refuse a sweep before its first job: every value of every swept key is composed and checked once."""
    values: dict[int, list[str]] = {}
    for place, override in enumerate(parsed(overrides)):
        if override.get_key_element() == "out" and not override.is_sweep_override():
            raise BadInput("out= is one folder, and -m runs several jobs: leave it out, each job is given its own.")
        if override.is_sweep_override():
            swept = [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
            values[place] = swept[:MOST_CHECKED]
    first = [values[place][0] if place in values else text for place, text in enumerate(overrides)]
    base = compose(config_name, first, config_dir)
    validate(base, multirun=True)
    for place, choices in values.items():
        for choice in choices[1:]:
            validate(compose(config_name, [*first[:place], choice, *first[place + 1 :]], config_dir), multirun=True)
    return base


def explain(error: Exception, config_name: str) -> str:
    """Hydra's and OmegaConf's complaints in one sentence, with the nearest key where one was mistyped."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines[:2])
    missing = re.search(r"(?:override|access|append) '([^']+)'", text) or re.search(r"full_key: (\S+)", str(error))
    if missing and ("not in struct" in str(error) or "Could not override" in text):
        key = missing[1].split("@")[0]
        known = known_keys(config_name)
        if key in known:
            branch = key.rsplit(".", 1)[0]
            if key.startswith("data."):
                return f"the key {key} belongs to data=reef, and another data set was chosen."
            return f"the key {key} has no place here, for {branch} is left out ({branch}=null) by what was chosen."
        return f"there is no key {key}: {nearest(key, known)}"
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} is needed: say {error.full_key}=…"
    if isinstance(error, OverrideParseException):
        if "=" not in error.override:
            return f"{error.override} is no key=value; `fishnet {config_name} --help` lists the keys."
        reason = lines[min(1, len(lines) - 1)].rstrip(".")
        return f"{error.override} cannot be read ({reason}): quote the value, as in key=\"'a b'\"."
    group = re.search(r"Could not find '([^']+)'", str(error))
    if group:
        options = re.findall(r"^\s*(?:\t)?([\w.-]+)$", str(error).split("Available options", 1)[-1], flags=re.M)
        name, _, choice = group[1].rpartition("/")
        return (
            f"there is no {name}={choice}: {nearest(choice, options)}" if options else f"there is no group {group[1]}."
        )
    return text.rstrip(".") + "."


def known_keys(config_name: str) -> list[str]:
    """Every key of the verb, dotted."""
    keys: list[str] = []

    def walk(node: object, prefix: str) -> None:
        for key, value in node.items() if isinstance(node, dict) else ():
            keys.append(f"{prefix}{key}")
            walk(value, f"{prefix}{key}.")

    for extra in ([], ["data=folder"], ["data=reef"]):
        try:
            walk(OmegaConf.to_container(compose(config_name, extra), resolve=False), "")
        except HydraException:
            continue
    return sorted({key for key in keys if not key.rsplit(".", 1)[-1].startswith("_")})

"""How a verb starts and ends: Hydra composes, the input is checked, the work runs, one sentence says what failed.

Everything here runs before torch is imported.
"""

import math
import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from fishnet.environment import limit_photos
from fishnet.errors import BadInput, Interrupted, WorkFailed, disk_trouble
from fishnet.progress import for_terminal, leave_terminal, shared_terminal
from fishnet.text import counted, nearest

from .compose import check_sweep, first_job, known_keys, searchpath, swept_values
from .help import help_text
from .hydra_internals import CONF, chosen_option, chosen_twice, get_args_parser, mistyped_group, mistyped_key

SAME_WISH = 1.0  # seconds: a signal so soon after another one asks for nothing new
GRACE = 30.0  # seconds for the first of several processes to end by itself
MULTIRUN = ("-m", "--multirun")
OWN_MODULES = ("-cd", "--config-dir", "packages=", "_target_", "searchpath")  # words by which a user brings modules
WITH_VALUE = ("--config-dir", "-cd")


def start(work: Callable[[DictConfig], object], verb: str, sweep: Callable | None = None) -> None:
    """Run a verb and leave with its exit status: 0, 1 (the work failed), 2 (bad input), 128 + signal.

    `work` receives the composed configuration; the docstring of its module is what `--help` shows.
    `sweep(base, overrides, run_jobs)` surrounds the jobs of a multirun.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors arrive here as they are; the sentence is written below
    failures: list[BadInput | WorkFailed] = []

    def job(config: DictConfig) -> object:
        of_its_own = not HydraConfig.get().launcher._target_.endswith("BasicLauncher")  # a process
        name = f"Job {HydraConfig.get().job.num}" if of_its_own else ""
        if of_its_own:
            print(f"{name} begins.", file=sys.stderr, flush=True)  # long before torch is there
        most = OmegaConf.select(config, "data.most_megapixels") or OmegaConf.select(config, "most_megapixels")
        if isinstance(most, int) and most > 0:  # of whatever reads photos; `validate` says what is out of range
            limit_photos(most)
        try:
            with shared_terminal(name) if of_its_own else nullcontext():
                return work(config)
        except (BadInput, WorkFailed, HydraException, OmegaConfBaseException, OSError) as raised:
            error = as_user_error(raised, verb)
            _print_once(error)
            if of_its_own:
                raise error from raised
            failures.append(error)  # the sweep goes on, and Hydra adds no words of its own
            return None

    def run_jobs() -> None:
        main()
        if failures:
            raise failures[0]

    def refuse(message: str) -> NoReturn:
        _print_once(BadInput(f"{message.rstrip('.')}; `fishnet {verb} --help` says how it is used."))
        raise SystemExit(BadInput.status)

    sys.argv[1:] = options_first(sys.argv[1:])
    if any(sign in word for word in sys.argv[1:] for sign in OWN_MODULES):
        sys.path.append(os.getcwd())  # behind everything that is installed
    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    arguments = parser.parse_args()
    try:
        check_unicode(arguments.overrides)
        if arguments.multirun and arguments.cfg:
            _ask_of_first_job(arguments)
        main = hydra.main(version_base="1.3", config_path=CONF, config_name=verb)(job)
        with ended_by_signals():
            if arguments.help:
                doc = work.__globals__["__doc__"]  # type: ignore[attr-defined]
                print(help_text(doc, verb, arguments.overrides, searchpath(arguments.config_dir)))
            elif arguments.multirun and not (arguments.cfg or arguments.info or arguments.hydra_help):
                base = check_sweep(arguments.overrides, verb, arguments.config_dir)
                if any(word.startswith("hydra/launcher=") for word in arguments.overrides):
                    words = f"{_jobs(arguments)} in processes of their own: lines of several come together."
                    print(for_terminal(words, sys.stderr), file=sys.stderr, flush=True)
                if sweep is None:
                    run_jobs()
                else:
                    sweep(base, arguments.overrides, run_jobs)
            else:
                run_jobs()
    except (BadInput, WorkFailed) as error:
        _print_once(error)
        _leave(error.status)
    except Interrupted as interrupted:
        _leave(128 + interrupted.signal)
    except KeyboardInterrupt:
        _leave(128 + signal.SIGINT)
    except BrokenPipeError:  # `fishnet train --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (HydraException, OmegaConfBaseException, OSError, ValueError) as raised:
        sentence = as_user_error(raised, verb)
        _print_once(sentence)
        raise SystemExit(sentence.status) from None


def check_unicode(overrides: list[str]) -> None:
    """Refuse a value with a byte that is no text: names with such bytes go into tables, logs and stores as text."""
    for word in overrides:
        shown = word.encode("utf-8", "backslashreplace").decode()
        if shown != word:
            raise BadInput(f"{shown} is not valid UTF-8: rename the file or folder (convmv does many at once).")


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM, and SIGHUP of a terminal that was closed, end any verb as Ctrl-C does: what it has begun is put away.

    A second signal that follows at once does not disturb that. One that is ignored (nohup) stays ignored; a verb may
    handle signals in its own way, and at the end of the block all are handled as before.
    """
    last = -math.inf

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        if number == signal.SIGHUP:
            leave_terminal()
        if last - before > SAME_WISH:
            raise KeyboardInterrupt if number == signal.SIGINT else Interrupted(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    watched = [number for number, handler in before.items() if handler != signal.SIG_IGN]
    for number in watched:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in watched:
            signal.signal(number, before[number])


def _ask_of_first_job(arguments: Namespace) -> None:
    """Make of a question about a sweep's configuration that of its first job: Hydra shows single jobs alone."""
    print(f"# the first of {_jobs(arguments)}", flush=True)
    sys.argv[1:] = [word for word in sys.argv[1:] if word not in MULTIRUN + tuple(arguments.overrides)]
    sys.argv += first_job(arguments.overrides, arguments.config_dir)
    arguments.multirun = False


def options_first(words: list[str]) -> list[str]:
    """Options may stand anywhere, though argparse wants all overrides on one side of them."""
    options: list[str] = []
    overrides: list[str] = []
    for position, word in enumerate(words):
        is_option = word in MULTIRUN or word in WITH_VALUE or (position > 0 and words[position - 1] in WITH_VALUE)
        (options if is_option else overrides).append(word)
    return [*options, *overrides]


def as_user_error(error: Exception, verb: str) -> BadInput | WorkFailed:
    """The error as one of the two kinds of bad end; one that is a defect of the program is raised as it is.

    What a constructor has refused comes wrapped by Hydra; the rest is Hydra's own complaint. Errors of the file
    system are defects, unless the disk is full.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (BadInput, WorkFailed)):
            return cause
        if isinstance(cause, OSError) and (full := disk_trouble(cause)):
            return full
        cause = cause.__cause__
    if isinstance(error, ValueError) and chosen_option(error):
        return BadInput("a group of settings (data, model, trainer, callbacks …) is one of its choices, never null.")
    if isinstance(error, (OSError, ValueError)) and not isinstance(error, (HydraException, OmegaConfBaseException)):
        raise error
    return BadInput(hydra_sentence(error, verb))


def hydra_sentence(error: Exception, verb: str) -> str:
    """Hydra's and OmegaConf's complaints in one sentence, with the nearest key where one was mistyped."""
    if (key := mistyped_key(error)) is not None:
        known = known_keys(verb)
        if key not in known:
            return f"there is no key {key}: {nearest(key, known)}"
        if key.startswith("data."):
            return f"the key {key} belongs to data=reef, and another data set was chosen."
        branch = key.rsplit(".", 1)[0]
        return f"the key {key} has no place here, for {branch} is left out ({branch}=null) by what was chosen."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} is needed: say {error.full_key}=…"
    if isinstance(error, OverrideParseException):
        if "=" not in error.override:
            return f"{error.override} is no key=value; `fishnet {verb} --help` lists the keys."
        reason = lines[min(1, len(lines) - 1)].rstrip(".")
        return f"{error.override} cannot be read ({reason}): quote the value, as in key=\"'a b'\"."
    if (group := mistyped_group(error)) is not None:
        name, choice, options = group
        if options:
            return f"there is no {name}={choice}: {nearest(choice, options)}"
        return f"there is no group {'/'.join(filter(None, (name, choice)))}."
    if twice := chosen_twice(error):
        return f"{twice} has a choice already: choose another with {twice}=NAME, or several with {twice}=[NAME,NAME]."
    return " ".join(lines[:2]).rstrip(".") + "."


def _jobs(arguments: Namespace) -> str:
    """How many jobs a multirun has."""
    values = swept_values(arguments.overrides, arguments.config_dir)
    return counted(math.prod(len(each) for each in values.values()), "job")


def _print_once(error: BadInput | WorkFailed) -> None:
    """On stderr; a sweep meets the same error again when it ends."""
    if not getattr(error, "printed", False):
        print(for_terminal(f"fishnet: {error}", sys.stderr), file=sys.stderr, flush=True)
        error.printed = True  # type: ignore[union-attr]


def _leave(status: int) -> NoReturn:
    """Ranks above 0 wait for rank 0 to end by itself: Lightning kills it when another rank fails. Another Ctrl-C ends
    what is left without a traceback."""
    if status > 128:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    first = os.getppid()
    deadline = time.monotonic() + GRACE
    while os.environ.get("LOCAL_RANK", "0") != "0" and os.getppid() == first and time.monotonic() < deadline:
        time.sleep(0.1)
    raise SystemExit(status) from None

"""Verbs run in this process, as `python -m fishnet.commands.<verb>` would: one start-up for many commands."""

import os
import runpy
import signal
import sys

import pytest
from hydra.core.global_hydra import GlobalHydra

from fishnet.config.quoting import quoted


def in_this_process(verb: str, *arguments: str) -> int:
    """The exit status of a verb that finds and leaves this process as it was."""
    handlers = {
        number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
    }
    argv = [f"fishnet.commands.{verb}", *(quoted(argument, verb) for argument in arguments)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", argv)
        patch.delenv("FISHNET_RUN_FOLDER", raising=False)
        try:
            runpy.run_module(f"fishnet.commands.{verb}", run_name="__main__", alter_sys=False)
        except SystemExit as end:
            return int(end.code or 0)
        finally:
            GlobalHydra.instance().clear()
            os.environ.pop("FISHNET_RUN_FOLDER", None)
            for number, handler in handlers.items():
                signal.signal(number, handler)
    return 0

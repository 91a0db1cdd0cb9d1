"""Callbacks that end a training in the ways in which trainings end."""

import ctypes
import os
import signal
import time

import pytorch_lightning as L


class Raise(L.Callback):
    def on_train_start(self, trainer, pl_module) -> None:
        raise ZeroDivisionError("a defect in a callback")


class Exit(L.Callback):
    def on_train_start(self, trainer, pl_module) -> None:
        os._exit(3)


class Killed(L.Callback):
    def on_train_start(self, trainer, pl_module) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Crash(L.Callback):
    def on_train_start(self, trainer, pl_module) -> None:
        ctypes.string_at(0)


class Hang(L.Callback):
    def on_train_start(self, trainer, pl_module) -> None:
        while True:
            time.sleep(60)


class Hoard(L.Callback):
    """Until memory is over; a study with `memory=` ends it before the machine does."""

    def on_train_start(self, trainer, pl_module) -> None:
        hoard = []
        while True:
            hoard.append(bytearray(256 * 2**20))

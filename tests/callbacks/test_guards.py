"""Which signal ends a training when."""

import os
import signal

import pytest

from fishnet.callbacks.guards import StopOnSignal
from fishnet.errors import Interrupted, WorkFailed
from fishnet.runs.run import as_known_failure


@pytest.fixture
def handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def watch(handlers) -> StopOnSignal:
    return StopOnSignal()


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_outside_of_training_the_first_signal_ends_it_and_the_next_leaves_the_tidying_alone(watch, number):
    with pytest.raises(Interrupted) as raised:
        send(number)
    assert raised.value.signal == number
    send(number)


def test_in_training_two_signals_wait_for_the_step_and_a_third_interrupt_does_not(watch):
    watch.on_train_start(None, None)
    send(signal.SIGINT)
    send(signal.SIGINT)
    assert watch.signal == signal.SIGINT
    with pytest.raises(Interrupted):
        send(signal.SIGINT)


def test_the_exit_status_is_that_of_the_first_signal(watch):
    watch.on_train_start(None, None)
    send(signal.SIGTERM)
    send(signal.SIGHUP)
    assert watch.signal == signal.SIGTERM


def test_nohup_keeps_a_training_that_its_terminal_leaves(handlers):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    watch = StopOnSignal()
    send(signal.SIGHUP)
    assert watch.signal is None


@pytest.mark.parametrize("how", ["is killed by signal: Killed. ", "exited unexpectedly"])
def test_a_loading_process_that_was_killed_is_a_sentence(how):
    error = as_known_failure(RuntimeError(f"DataLoader worker (pid(s) 7) {how}"), None)
    assert isinstance(error, WorkFailed) and "data.workers=" in str(error)

"""Which signals end the service."""

import os
import signal

import pytest
import uvicorn

from fishnet.serve.server import Server


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_unless_it_is_ignored(kind):
    before = signal.getsignal(kind)
    try:
        for handler, ends in ((signal.SIG_DFL, True), (signal.SIG_IGN, False)):  # the second: nohup, or the background
            signal.signal(kind, handler)
            server = Server(uvicorn.Config(app=None), lambda: None)
            with server.capture_signals():
                os.kill(os.getpid(), kind)
                assert server.should_exit == ends
            assert signal.getsignal(kind) == handler
    finally:
        signal.signal(kind, before)

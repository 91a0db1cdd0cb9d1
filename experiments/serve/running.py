"""A service as a process of its own."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running(bundle: Path) -> Iterator[tuple[str, int]]:
    """The address and process number of a service that ends with the block."""
    command = [sys.executable, "-m", "fishnet.commands.serve", f"checkpoint='{bundle}'", "port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        try:
            yield next(found[1] for line in service.stdout if (found := re.match(r"page +(\S+)/$", line))), service.pid
        finally:
            service.terminate()
            service.stdout.read()

"""The two ways in which a command may end badly.

Bad input is the user's to mend: one sentence, exit status 2. A failure of the work itself is exit status 1.
Everything else is a defect of ours and keeps its traceback.
"""


class BadInput(Exception):
    """Something the user gave is wrong; the message says what, and what to do."""

    status = 2


class WorkFailed(Exception):
    """The input was right, but the work could not be finished; what was made before is intact."""

    status = 1


class Interrupted(BaseException):
    """A signal asked us to stop; a checkpoint is on disk. Exit status 128 + signal, and a sweep ends with it."""

    def __init__(self, signal: int) -> None:
        super().__init__(f"interrupted by signal {signal}")
        self.signal = signal

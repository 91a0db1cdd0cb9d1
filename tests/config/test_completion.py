"""Tab completes verbs, keys and choices, in shells that are really asked."""

import subprocess
import sys

import pytest

from tests.support.processes import environment

ASK = """
eval "$({python} -m fishnet --completion bash)"
COMP_WORDBREAKS="{breaks}"
COMP_LINE="{line}"
COMP_POINT=${{#COMP_LINE}}
_fishnet
printf "%s\\n" "${{COMPREPLY[@]}}"
"""


def completed(line: str, breaks: str) -> list[str]:
    script = ASK.format(python=sys.executable, line=line, breaks=breaks)
    ended = subprocess.run(["bash", "-c", script], env=environment(), capture_output=True, text=True, timeout=60)
    assert not ended.stderr, ended.stderr
    return ended.stdout.split()


@pytest.mark.parametrize(
    ("line", "breaks", "found"),
    [
        ("fishnet ex", "=", ["explain", "export"]),
        ("fishnet train data=", "", ["data=folder", "data=reef", "data=stream"]),
        ("fishnet train data=", "=", ["folder", "reef", "stream"]),
        ("fishnet train data=folder model.opt", "=", ["model.optimizer="]),
        ("fishnet train experiment=fox", "=", ["fox_gan"]),
        ("fishnet nonesuch x", "=", []),
    ],
)
def test_bash_completes(line, breaks, found):
    assert sorted(completed(line, breaks)) == found

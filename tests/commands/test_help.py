"""Help costs nothing: it is asked for more often than anything, and on machines that are busy."""

import subprocess
import sys

from fishnet.__main__ import VERBS
from tests.support.processes import environment

LOOKS = """
import contextlib, io, runpy, sys
HEAVY = {"torch", "pytorch_lightning", "mlflow", "timm", "pandas"}
def said(module, *arguments):
    sys.argv = [module, *arguments]
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        runpy.run_module(module, run_name="__main__")
    assert not HEAVY & set(sys.modules), (module, HEAVY & set(sys.modules))
    return out.getvalue()
assert "usage: fishnet <verb>" in said("fishnet", "--help")
assert "hydra" not in sys.modules
for verb in sys.argv_verbs:
    text = said(f"fishnet.commands.{verb}", "--help")
    assert text.startswith(f"fishnet {verb}: "), text[:200]
    assert text.rstrip().endswith("Any key above is set as key=value.") or verb == "train", text[-200:]
    assert "key above" in text and "key below" not in text
both = said("fishnet.commands.train", "callbacks=[audit,exchange]", "--help")
assert "of the time of the training" in both and "of the photos of each batch" in both, both
"""


def test_no_help_imports_what_is_heavy(tmp_path):
    code = LOOKS.replace("sys.argv_verbs", repr(sorted(VERBS)))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_comparing_imports_neither_torch_nor_lightning(migrated):
    code = (
        "import runpy, sys; runpy.run_module('fishnet.commands.compare', run_name='__main__');"
        "assert not {'torch', 'pytorch_lightning', 'torchvision', 'timm', 'cv2', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=migrated, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "No run fits" in done.stdout

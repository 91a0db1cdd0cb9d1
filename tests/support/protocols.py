"""Protocols without Hydra, and trainings that are a line of Python: the engine does not know what it supervises."""

from fishnet.studies.planning import LOGS_RELIANCE
from fishnet.studies.protocol import parse
from fishnet.studies.trials import Composed

SCORES = ["val/accuracy", "val/f1_macro", "val/loss"]

# What a training leaves: a journal of figures. It scores what the settings say, rests on the
# surroundings by as much as they say, and dies as they say.
TRAINING = """
import json, os, signal, sys, time
from pathlib import Path
settings = dict(word.split("=", 1) for word in sys.argv[1:])
run = Path(settings.get("out") or settings["resume"])
(run / "offline").mkdir(parents=True, exist_ok=True)
with open(os.environ["STARTS"], "a") as file:
    file.write(settings.get("x", "resumed") + "\\n")
time.sleep(float(settings.get("sleep", 0)))
exec(settings.get("do", ""))
value = float(settings["x"]) + float(settings.get("data.fold", 0)) / 100 + float(settings["seed"]) / 1000
lines = [
    {"kind": "metrics", "time": time.time() * 1000, "step": 0, "values": {"val/accuracy": value, "train/loss": 1.0}},
    {"kind": "tags", "values": {"fishnet.best_epoch": "0", "fishnet.parameters": "10"}},
    {"kind": "status", "status": "FINISHED", "time": time.time() * 1000},
]
if "rests" in settings:
    lines[0]["values"]["best/reliance"] = float(settings["rests"])
(run / "offline" / "journal.jsonl").write_text("".join(json.dumps(line) + "\\n" for line in lines))
"""


def compose(base, before, after) -> Composed:
    """Flat settings are the configuration."""
    settings = {**before, **after}
    reliance = {"callbacks": {"reliance": {"_target_": LOGS_RELIANCE}}} if "rests" in settings else {}
    config = {"data": {}, **reliance, **{key: value for key, value in settings.items() if "." not in key}}
    return Composed([f"{key}={value}" for key, value in settings.items()], config)


def protocol(**stages):
    return parse("tried", {"score": "val/accuracy", "stages": stages}, scores=SCORES)

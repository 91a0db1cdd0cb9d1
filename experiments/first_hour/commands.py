"""The commands of README.md in their order, and what is adapted of each so that the walk ends within the hour."""

import re
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"

NEW, SMALL = "model.backbone=resnet10t model.pretrained=false", "data.image_size=64 trainer.max_epochs=2"
# a network that learns something in seconds, for the verbs that ask what it has learned
LEARNING = (
    "model.backbone=cnn model.pretrained=false model.optimizer=adamw model.lr=0.002 model.scheduler=cosine "
    "data.image_size=64 trainer.max_epochs=24 out=outputs/lake"
)
_DEMO = "data.photos=24 data.image_size=64 trainer.max_epochs=2"

# what cannot be tried on a machine without a network, or without GPUs
NOT_RUN = (
    (r"^fishnet collect", "needs iNaturalist or other servers"),
    (r"prefetch=true", "needs the network: it brings weights"),
    (r"gpus: \[0, 1\]", "needs two GPUs"),
    (r"^make test", "is run by every change of the repository"),
    (r"^make demo", "its two commands take minutes each: experiments/demo"),
)
# pattern of a command, and what is added to it
ADDED = (
    (r"^fishnet train data=folder (?!.*(freeze|pretrained|group|positive))", LEARNING),
    (r"^fishnet train data=folder .*pretrained", f"model.backbone=resnet10t {SMALL}"),
    (r"^fishnet train data=folder .*(group|positive)", f"{NEW} {SMALL}"),
    (r"^fishnet train tune=lr", f"{NEW} data.image_size=64"),
    (r"^fishnet train -m data=folder", f"{NEW} {SMALL}"),
    (r"^fishnet train -m .*experiment=demo", _DEMO),
    (r"^fishnet train experiment=fox_gan", "trainer.max_epochs=10"),
    (r"^fishnet study study=one_animal data=folder", "trainer=smoke trials=2 folds=2 model.pretrained=false"),
    (r"^fishnet study study=dog_breeds", "trainer=smoke trials=2 folds=2 model.pretrained=false"),
    (r"^fishnet audit .*mend=retrain", "donors=24 hosts=4"),
)
SERVICES = {"fishnet serve": "Ctrl-C ends it", "fishnet ui": "Ctrl-C ends it"}


@dataclass(frozen=True)
class Step:
    """A command of the README.

    Args:
        section: the heading it stands under.
        typed: as it stands there, without its comment.
        run: as it is run here.
        reason: why it is not run; empty where it is.
    """

    section: str
    typed: str
    run: str
    reason: str

    @property
    def until(self) -> str:
        """The words by which a service says that it is at work."""
        return next((words for start, words in SERVICES.items() if self.typed.startswith(start)), "")


def steps(placeholders: dict[str, str], weights: Path | None) -> list[Step]:
    """Every command of the README.

    Args:
        placeholders: words of the README → what they are called in the folder of this walk.
        weights: published weights of mobilenetv2_100 in a file, for the commands that would bring some.
    """
    return [_step(section, typed, placeholders, weights) for section, typed in _commands()]


def _commands() -> list[tuple[str, str]]:
    section, inside, found = "", "", []
    for line in README.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("```"):
            inside = "" if inside else line.removeprefix("```") or "text"
        elif inside == "bash" and line.strip():
            found.append((section, line.split("  #")[0].split(" # ")[0].strip()))
        elif inside == "python" and line == "import pytorch_lightning as L":
            found.append((section, "python script.py"))
    return found


def script() -> str:
    """The Python script of the README."""
    (found,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)
    return found


def _step(section: str, typed: str, placeholders: dict[str, str], weights: Path | None) -> Step:
    reason = next((reason for pattern, reason in NOT_RUN if re.search(pattern, typed)), "")
    run = typed
    for word, name in placeholders.items():
        run = re.sub(rf"\b{re.escape(word)}\b(?!-)", name.replace("\\", r"\\"), run)
    if "freeze=backbone" in typed:
        if weights is None:
            reason = reason or "needs published weights: --weights"
        else:
            run = re.sub(r"model.backbone=\w+", "model.backbone=mobilenetv2_100", run)
            run += f" model.pretrained={weights} {SMALL}"
    run = " ".join([run, *(more for pattern, more in ADDED if re.search(pattern, typed))])
    return Step(section, typed, run, reason)

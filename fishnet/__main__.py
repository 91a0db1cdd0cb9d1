"""The command `fishnet`: looks the verb up and *becomes* `python -m fishnet.commands.<verb>`.

Hydra wants the whole argument list, and Lightning starts further processes from the main module's name and
`sys.argv[1:]`; a sub-command parser in between would lose the verb in those children. Only the standard library is
imported here, so that help costs nothing.
"""

import difflib
import os
import shlex
import subprocess
import sys

from fishnet import __version__
from fishnet.config.quoting import quoted
from fishnet.environment import TYPED_COMMAND

VERBS = {
    "collect": ("make", "species names → licensed photos in class folders, with a manifest"),
    "check": ("make", "what is wrong with a folder of photos, before an hour is spent on it"),
    "train": ("make", "class folders → a trained, measured, explained and tracked classifier"),
    "study": ("make", "a protocol of stages: searches, folds and repeats that choose a model"),
    "evaluate": ("make", "a checkpoint on a folder: metrics with intervals, confusions"),
    "predict": ("use", "a checkpoint on photos: a CSV of probabilities, with a column for 'not sure'"),
    "explain": ("see", "a checkpoint on photos: what it looks at, as raw maps and red pictures"),
    "compare": ("see", "runs as a table: metrics, what differs, links into the MLflow UI"),
    "stock": ("know", "tables of catch and biomass: a page on how the fish are, with fits, futures and their doubt"),
    "ui": ("see", "the MLflow UI on this machine"),
}

HELP = """fishnet: from species names to an image classifier you can trust

usage: fishnet <verb> [key=value ...]

{verbs}

  fishnet <verb> --help     its keys, with examples
  fishnet --version
"""


def main() -> None:
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP.format(verbs="\n".join(f"  {verb:10s}{line}" for verb, (_, line) in VERBS.items())))
        return
    verb, rest = arguments[0], arguments[1:]
    if verb in ("--version", "-V"):
        print(__version__)
        return
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean `fishnet {near[0]}`?" if near else f"the verbs are {', '.join(VERBS)}."
        print(f"fishnet: there is no verb {verb!r}: {hint}", file=sys.stderr)
        raise SystemExit(2)
    os.environ[TYPED_COMMAND] = shlex.join(["fishnet", *arguments])  # as typed; what follows is quoted for Hydra
    become([sys.executable, "-m", f"fishnet.commands.{verb}", *(quoted(argument, verb) for argument in rest)])


def become(command: list[str]) -> None:
    """Replace this process; Windows has no such thing, there a child does the work."""
    sys.stdout.flush()
    if os.name == "nt":
        raise SystemExit(subprocess.run(command, check=False).returncode)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()

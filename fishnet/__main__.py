"""The command `fishnet`: looks the verb up and *becomes* `python -m fishnet.commands.<verb>`.

Hydra wants the whole argument list, and Lightning starts further processes from the main module's name and
`sys.argv[1:]`; a sub-command parser in between would lose the verb in those children. Only the standard library is
imported here, so that help costs nothing.
"""

import difflib
import os
import re
import shlex
import sys
from pathlib import Path

from fishnet import __version__
from fishnet.config.completion import SHELLS, completion
from fishnet.config.quoting import quoted
from fishnet.environment import TYPED_COMMAND


def find_verbs() -> dict[str, str]:
    """Verb → its line of help, which is the first line of commands/<verb>.py, in the order of their POSITION."""
    ordered = []
    for path in (Path(__file__).parent / "commands").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if position := re.search(r"^POSITION = (\d+)", text, flags=re.M):
            line = text.splitlines()[0].removeprefix(f'"""fishnet {path.stem}: ')
            ordered.append((int(position[1]), path.stem, line))
    return {verb: line for _, verb, line in sorted(ordered)}


VERBS = find_verbs()

HELP = """fishnet: from species names to an image classifier you can trust

usage: fishnet <verb> [key=value ...]

{verbs}

  fishnet <verb> --help     its keys, with examples
  fishnet --version
  eval "$(fishnet --completion bash)"    tab completes verbs, keys and choices; also zsh
"""


def main() -> None:
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP.format(verbs="\n".join(f"  {verb:10s}{line}" for verb, line in VERBS.items())))
        return
    verb, overrides = arguments[0], arguments[1:]
    if verb in ("--version", "-V"):
        print(__version__)
        return
    if verb == "--completion":
        if overrides not in ([shell] for shell in SHELLS):
            print(f"fishnet: --completion takes one of {', '.join(SHELLS)}.", file=sys.stderr)
            raise SystemExit(2)
        print(completion(overrides[0], VERBS))
        return
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean `fishnet {near[0]}`?" if near else f"the verbs are {', '.join(VERBS)}."
        print(f"fishnet: there is no verb {verb!r}: {hint}", file=sys.stderr)
        raise SystemExit(2)
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # `python -m` would import any yaml.py of the folder it is started in
    os.environ[TYPED_COMMAND] = shlex.join(["fishnet", *arguments])  # as typed; what follows is quoted for Hydra
    command = [sys.executable, "-m", f"fishnet.commands.{verb}", *(quoted(argument, verb) for argument in overrides)]
    sys.stdout.flush()
    os.execv(command[0], command)


if __name__ == "__main__":
    main()

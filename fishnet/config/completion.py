"""Tab completion of `fishnet` in bash and zsh: verbs are known here, keys and choices are Hydra's to say.

Only the standard library is imported: the script is printed at each start of a shell.
"""

import sys
from collections.abc import Iterable

SHELLS = ("bash", "zsh")
SCRIPT = """\
_fishnet() {{
    local line="${{COMP_LINE:0:$COMP_POINT}}" cur rest verb choices prefix
    cur="${{line##* }}"
    rest="${{line#*fishnet }}"
    verb="${{rest%% *}}"
    if [[ "$rest" == "$verb" ]]; then
        choices="{verbs} --help --version --completion"
    elif [[ " {verbs} " == *" $verb "* ]]; then
        line="fishnet ${{rest#"$verb "}}"
        choices="$(COMP_LINE="$line" COMP_POINT=${{#line}} {python} -m fishnet.commands.$verb \\
            -sc query=bash 2>/dev/null)"
    fi
    COMPREPLY=( $(compgen -W "$choices" -- "$cur") )
    if [[ "$cur" == *=* && "$COMP_WORDBREAKS" == *=* ]]; then
        prefix="${{cur%"${{cur##*=}}"}}"
        COMPREPLY=( "${{COMPREPLY[@]#"$prefix"}}" )
    fi
}}
complete -o nospace -o default -F _fishnet fishnet
"""
OF_ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


def completion(shell: str, verbs: Iterable[str]) -> str:
    """The script that a shell evaluates to complete `fishnet`: `eval "$(fishnet --completion bash)"`."""
    script = SCRIPT.format(verbs=" ".join(verbs), python=sys.executable)
    return (OF_ZSH if shell == "zsh" else "") + script

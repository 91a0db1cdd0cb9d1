"""What is known of backbones before torch is imported: which are our own, and whose weights a cache may hold.

The only file that knows the hub's cache folders, environment variables and offline switch.
"""

import ast
import os
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from fishnet.errors import BadInput

HUB = "https://huggingface.co"
PATIENCE = 4.0  # seconds


@cache
def own_backbones() -> dict[str, str]:
    """The networks of this package: name → dotted name of the class, whose constructor takes `model.backbone_args`.

    Such a network is a function under @register_model in a file of this room; its return annotation is the class.
    """
    classes = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and "register_model" in map(ast.unparse, node.decorator_list):
                classes[node.name] = f"fishnet.models.{path.stem}.{ast.unparse(node.returns or ast.Constant(None))}"
    return classes


def check_obtainable(backbone: str) -> None:
    """Refuse weights of which no cache has a trace, where they cannot be fetched either; if there is a trace, loading
    them shows whether they are whole."""
    if backbone in own_backbones():
        raise no_weights(backbone)
    if not has_trace(backbone) and not hub_answers():
        raise not_here(backbone)


def check_fetchable(backbone: str) -> None:
    """Refuse to fetch weights that no cache has a trace of, where there is no network."""
    if not has_trace(backbone):
        check_hub(backbone)


def check_hub(backbone: str) -> None:
    """Without a network the hub's own client would try again and again, for most of a minute."""
    if not hub_answers():
        raise BadInput(f"The weights of {backbone} could not be fetched: {_hub()} cannot be reached from this machine.")


def no_weights(backbone: str) -> BadInput:
    return BadInput(f"model.backbone={backbone} has no published weights: leave model.pretrained=false or give a file.")


def not_here(backbone: str) -> BadInput:
    return BadInput(
        f"The weights of {backbone} are not on this machine, and {_hub()} cannot be reached: where there is a network, "
        f"run `fishnet train prefetch=true model.backbone={backbone}`; or give model.pretrained=FILE; or learn from "
        "nothing with model.pretrained=false."
    )


def has_trace(backbone: str) -> bool:
    """Whether a cache holds something that could be these weights; a publisher other than timm names them freely."""
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    user_cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    hub = _expanded(named or f"{os.environ.get('HF_HOME') or f'{user_cache}/huggingface'}/hub")
    torch_hub = _expanded(os.environ.get("TORCH_HOME") or f"{user_cache}/torch") / "hub" / "checkpoints"
    folders = [path.name for path in hub.glob("models--*")] if hub.is_dir() else []
    if any(f"--{backbone}" in name or not name.startswith("models--timm--") for name in folders):
        return True
    return torch_hub.is_dir() and any(torch_hub.iterdir())


def hub_answers(patience: float = PATIENCE) -> bool:
    """Whether a connection to the hub, or to the proxy that leads there, can be opened."""
    proxy = urllib.request.getproxies().get("https")
    address = urlsplit(proxy if proxy and "://" in proxy else f"http://{proxy}" if proxy else _hub())
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((address.hostname or "", port), timeout=patience).close()
    except OSError:
        return False
    return True


@contextmanager
def cache_only() -> Iterator[None]:
    """Inside, weights come from the cache or not at all: asking the hub without a network takes 47 s to fail."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _hub() -> str:
    return os.environ.get("HF_ENDPOINT", HUB).rstrip("/")


def _expanded(path: str) -> Path:
    return Path(os.path.expandvars(path)).expanduser()

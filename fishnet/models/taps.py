"""The only file that registers hooks: layers of a network listened to, or cut, during a forward pass."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from torch import nn


class Call(NamedTuple):
    """One call of a layer: what it took in and what it gave out."""

    layer: nn.Module
    inputs: tuple[Any, ...]
    output: Any


@contextmanager
def recorded(layers: Iterable[nn.Module], *, keep: Callable[[Call], Any] = lambda call: call) -> Iterator[list[Any]]:
    """The calls of these layers inside the block, in their order; the hooks are gone after it, whatever happens.

    Args:
        layers: modules of a network, such as `network.get_submodule("layer4")`.
        keep: what to remember of a call. A call keeps its tensors in memory as long as the list lives.
    """
    calls: list[Any] = []

    def note(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        calls.append(keep(Call(layer, inputs, output)))

    with ExitStack() as stack:
        for layer in layers:
            stack.callback(layer.register_forward_hook(note).remove)
        yield calls


@contextmanager
def graph_begins_at(layer: nn.Module) -> Iterator[None]:
    """Inside, a backward pass ends at the output of `layer`: nothing before it is differentiated."""
    handle = layer.register_forward_hook(lambda _layer, _inputs, output: output.detach().requires_grad_(True))
    try:
        yield
    finally:
        handle.remove()

"""torch.compile for training, with the network as it is where it cannot be compiled."""

import logging
from typing import Any

import torch
from torch import nn
from torch._dynamo.exc import TorchDynamoException
from torch._inductor.exc import InductorError

log = logging.getLogger("fishnet")

FAILURES = (TorchDynamoException, InductorError)


def compile_network(network: nn.Module) -> None:
    """Compile a network when it is first called; where that fails, once is said why, and it computes as it is.

    The backward pass is compiled with the forward pass: a failure is then met before anything was computed.
    """
    logging.getLogger("torch.utils.cpp_extension").setLevel(
        logging.ERROR
    )  # it looks for a GPU where none was asked for
    torch._functorch.config.force_non_lazy_backward_lowering = True  # type: ignore[attr-defined]
    network.compile()
    compiled: Any = network._compiled_call_impl
    announced = False

    def call(*args: Any, **named: Any) -> Any:
        nonlocal announced
        if not announced:
            log.info("Compiling the network, which takes a minute or two on the first step.")
            announced = True
        try:
            return compiled(*args, **named)
        except FAILURES as error:
            reason = " ".join(str(error).split("\n")[:2]).strip()
            log.warning("warning: the network cannot be compiled (%s): it is trained as it is.", reason)
            network._compiled_call_impl = None
            return network(*args, **named)

    network._compiled_call_impl = call

"""The exchange for many classifier layers on one backbone: exchanged photos are embedded once, layers cost nothing."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fishnet.models.arithmetic import PLAIN, Setting, in_setting, rule
from fishnet.models.backbones import single_head
from fishnet.models.features import features_and_logits
from fishnet.models.interface import Classifier
from fishnet.models.isolation import eval_mode_restored
from fishnet.progress import with_progress

from .exchange import Effects
from .kinds import KINDS, Views, exchanged

AT_ONCE = 36  # photos


@torch.inference_mode()
def embedded(model: Classifier, photos: Tensor, setting: Setting = PLAIN) -> Tensor:
    """(n, 3, side, side), 0 to 1 → (n, features), what the classifier layer takes in."""
    head = single_head(model.network)
    assert head is not None, "only a network for which has_features() holds has features"
    with eval_mode_restored(model), in_setting(setting, model.device):
        parts = [
            features_and_logits(model.network, head, model.pixels(part))[0].float().cpu()
            for part in photos.split(AT_ONCE)
        ]
    return torch.cat(parts)


@dataclass(frozen=True)
class EmbeddedExchange:
    """Donors laid into hosts, embedded.

    Args:
        laid: (kinds, donors, hosts, features).
        donors: (donors, features), the donors themselves.
        hosts: (hosts, features), the hosts as they are.
    """

    laid: Tensor
    donors: Tensor
    hosts: Tensor

    @classmethod
    def of(cls, model: Classifier, hosts: Views, donors: Views, *, label: str = "") -> "EmbeddedExchange":
        """Lay every donor into every host, by every kind; in the arithmetic of `exchange`. A progress bar has the
        `label`, without which there is none."""
        laid, (setting, _) = [], rule(model, use_gpu=model.device.type == "cuda")
        for number in with_progress(range(len(donors)), len(donors), label, shown=bool(label)):
            donor = Views(donors.pixels[number : number + 1], donors.protected[number : number + 1])
            photos = torch.cat([exchanged(kind, hosts, donor)[0] for kind in KINDS])
            laid.append(embedded(model, photos, setting).half().unflatten(0, (len(KINDS), len(hosts))))
        return cls(torch.stack(laid, dim=1), *(embedded(model, views.pixels, setting) for views in (donors, hosts)))

    def replaced(self, positions: np.ndarray, other: "EmbeddedExchange") -> "EmbeddedExchange":
        """The same with other donors at these positions."""
        laid, donors = self.laid.clone(), self.donors.clone()
        laid[:, positions], donors[positions] = other.laid, other.donors
        return EmbeddedExchange(laid, donors, self.hosts)

    def chosen(self, positions: np.ndarray) -> "EmbeddedExchange":
        """Some of the donors."""
        return EmbeddedExchange(self.laid[:, positions], self.donors[positions], self.hosts)

    @torch.inference_mode()
    def effects(
        self, head: nn.Linear, temperature: float, labels: np.ndarray, groups: np.ndarray, host_labels: np.ndarray
    ) -> Effects:
        """What `measure_effects` measures, for a model with this classifier layer.

        Args:
            head: the layer, on the CPU.
            temperature: its logits are divided by it.
            labels, groups: of the donors.
            host_labels: the classes of the hosts.
        """
        others = torch.from_numpy(host_labels)[:, None] != torch.arange(head.out_features)
        weights = others / others.sum(dim=0).clamp(min=1)

        def answered(features: Tensor) -> tuple[Tensor, Tensor]:
            logits = head(features.float())
            return logits - logits.mean(dim=-1, keepdim=True), (logits / temperature).softmax(dim=-1)

        before, own = answered(self.hosts), answered(self.donors)[0]
        by_kind = [answered(of_kind) for of_kind in self.laid]
        logits, probabilities = (
            torch.stack([((of_kind[way] - before[way]) * weights).sum(dim=1) for of_kind in by_kind]).numpy()
            for way in (0, 1)
        )
        whole = (own - (before[0] * weights).sum(dim=0)).numpy()
        return Effects(KINDS, logits, probabilities, labels, groups, whole)

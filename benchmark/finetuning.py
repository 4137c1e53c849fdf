"""Joint training of an encoder and a method (`run --finetune`): the method sees the pictures through a network that its
own losses train, and the epoch with the best macro mAP on valid is kept of both.

One optimiser trains both (training.py), while a pretrained network bears smaller steps than a method that starts at
random. So what is trained of the network is its *departure* from the published weights:

    weight = published + SHARE * departure

AdamW moves every number by about the learning rate, whatever its scale, so the network moves SHARE times as fast. And
weight decay pulls the network to its published weights, not to zero (L2-SP; Li et al., ICML 2018).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from benchmark.contracts import place_of
from benchmark.errors import PluginError
from benchmark.interfaces import Encoder, FitContext, Gallery, ImageFeatures, LabelledSet, Method, Queries
from benchmark.live import LiveImages, Pictures

SHARE = 0.3
"""How fast the network learns, beside the method."""
GUEST = "finetuned_encoder"
"""The name of the network in a method's network, and in stored weights."""
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
Seen = TypeVar("Seen", LabelledSet, Queries, Gallery)


class TrainableEncoder(Encoder):
    """An encoder whose image side can also be trained together with a method. What is frozen of it comes first and is
    cached; the rest is a network from there to features of ``level_widths``, ``grids`` and ``image_width``.
    """

    @abstractmethod
    def plain(self) -> Encoder:
        """Return the fixed encoder that makes of a picture what ``network`` takes: levels (b, p, d)."""

    @abstractmethod
    def views(self) -> Encoder:
        """Return the fixed encoder that does the same for v augmented versions of a picture, which follow from the
        picture alone: levels (b, v p, d), version after version.
        """

    @abstractmethod
    def network(self) -> nn.Module:
        """Return a new network with the published weights, called with a tuple of levels (b, p, d), which returns
        ``ImageFeatures``. As long as it is not trained, it makes of ``plain()`` what ``encode_images`` shows.
        """


class FinetunedMethod(Method):
    """A method and the network that it sees through. Stored weights hold both."""

    def __init__(self, method: Method, network: nn.Module, views: int, augmented: Callable[[], ImageFeatures]):
        """``augmented`` returns augmented versions of the training pictures; a case is seen in so many ``views``."""
        super().__init__(method.spec, method.options)
        self.method, self.views, self.augmented = method, views, augmented
        self.network = departing(network).eval()

    def fit(self, train: LabelledSet, valid: LabelledSet, context: FitContext) -> None:
        """Train the method, and with it the network as a part of the method's own.

        Raises:
            PluginError: the method has no network, or its training leaves the encoder as it is.
        """
        host, before = self._host(), [value.detach().clone() for value in self.network.parameters()]
        images = LiveImages(self._pictures(train.images, self.augmented(), context.seed))
        host.add_module(GUEST, self.network)
        try:
            self.method.fit(replace(train, images=images), self._seen(valid), context)
        finally:
            delattr(host, GUEST)
        self.network.eval()
        pairs = zip(before, self.network.parameters(), strict=True)
        if all(torch.equal(old, new.detach().to(old.device)) for old, new in pairs):
            raise PluginError(
                f"{self._named()} left the encoder as it was, so --finetune does nothing for it. Train all "
                "parameters of what modules() returns, as fit_module does, on features taken anew in every step."
            )

    def score(self, queries: Queries, gallery: Gallery) -> Tensor:
        """Return the method's scores (q, g) of pictures as they are."""
        with torch.no_grad():
            return self.method.score(self._seen(queries), self._seen(gallery))

    def modules(self) -> tuple[nn.Module, ...]:
        """Return the networks of the method, and the encoder's."""
        return (*self.method.modules(), self.network)

    def state(self) -> dict[str, Tensor]:
        """Return the weights of the method and of the network."""
        own = {f"{GUEST}.{name}": value.detach().cpu() for name, value in self.network.state_dict().items()}
        return {**self.method.state(), **own}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore both."""
        own = {name: value for name, value in state.items() if name.startswith(f"{GUEST}.")}
        self.method.load({name: value for name, value in state.items() if name not in own})
        self.network.load_state_dict({name.removeprefix(f"{GUEST}."): value for name, value in own.items()})

    def _seen(self, part: Seen) -> Seen:
        return replace(part, images=LiveImages(self._pictures(part.images)))

    def _pictures(self, plain: ImageFeatures, augmented: ImageFeatures | None = None, seed: int = 0) -> Pictures:
        return Pictures(self.network, plain, self.spec.grids, views=self.views, augmented=augmented, seed=seed)

    def _host(self) -> nn.Module:
        """Return the module of the method that the network becomes a part of while they are trained."""
        # A container would run a guest in its turn, or hand it to a loop over its members.
        inside = [part for whole in self.method.modules()[:1] for part in whole.modules()]
        host = next((part for part in inside if not isinstance(part, CONTAINERS)), None)
        if host is None:
            raise PluginError(f"{self._named()} returns no network from modules(), so nothing can be trained with it.")
        return host

    def _named(self) -> str:
        return f"{type(self.method).__name__} ({place_of(type(self.method))})"


class Departure(nn.Module):
    """A weight as its published value and ``SHARE`` of what is learnt."""

    published: Tensor

    def __init__(self, published: Tensor):
        super().__init__()
        self.register_buffer("published", published.detach().clone(), persistent=False)

    def forward(self, learnt: Tensor) -> Tensor:
        """Return the weight."""
        return self.published + SHARE * learnt

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return what must have been learnt to come to ``weight``."""
        return (weight - self.published) / SHARE


def departing(network: nn.Module) -> nn.Module:
    """Replace every parameter of ``network`` that learns by its departure, zero for now. Return ``network``."""
    for module in list(network.modules()):
        for name, value in list(module.named_parameters(recurse=False)):
            if value.requires_grad:
                parametrize.register_parametrization(module, name, Departure(value))
    return network

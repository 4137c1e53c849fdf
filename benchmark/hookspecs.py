"""The whole plugin surface: five hooks, each of which receives ``register`` and calls it once a component.

A plugin is a module. Mark its functions with ``hookimpl`` and call ``register(name, component, ...)`` in them::

    from benchmark.hookspecs import hookimpl

    @hookimpl
    def register_composers(register):
        register("film", FiLM, summary="Feature-wise modulation by the text", citation="Perez et al., AAAI 2018")
"""

from __future__ import annotations

from typing import Protocol

from pluggy import HookimplMarker, HookspecMarker

PROJECT = "dermcir"
hookspec = HookspecMarker(PROJECT)
hookimpl = HookimplMarker(PROJECT)


class Register(Protocol):
    """Registers one component under ``name``.

    ``component`` is a class, or a ``"module:Class"`` string that is imported only when the component is used.
    ``options`` is its pydantic model (or such a string, in a module without torch). ``citation`` says whose work it is.
    """

    def __call__(
        self, name: str, component: type | str, *, summary: str, citation: str, options: type | str | None = None
    ) -> None:
        """Register the component; a name that is taken is an error that names both owners."""


@hookspec
def register_datasets(register: Register) -> None:
    """Register subclasses of ``benchmark.interfaces.Dataset``."""


@hookspec
def register_encoders(register: Register) -> None:
    """Register subclasses of ``benchmark.interfaces.Encoder``. A name that ends in a colon is a prefix: ``timm:``."""


@hookspec
def register_composers(register: Register) -> None:
    """Register subclasses of ``benchmark.interfaces.Composer``. Each can be run as a method of the same name."""


@hookspec
def register_scorers(register: Register) -> None:
    """Register subclasses of ``benchmark.interfaces.Scorer``."""


@hookspec
def register_methods(register: Register) -> None:
    """Register subclasses of ``benchmark.interfaces.Method`` that are more than a composer and a scorer."""

"""What a plugin's hooks, its calls of ``register`` and its classes must look like. Imports no torch."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from typing import Any

from benchmark.errors import PluginError, UserError, near_misses

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]*:?")


def place_of(thing: Any) -> str:
    """Return ``FILE:LINE`` of a class or function, or an empty string where it has no source."""
    try:
        return f"{inspect.getsourcefile(thing)}:{inspect.getsourcelines(thing)[1]}"
    except (OSError, TypeError):
        return ""


def calling_place(depth: int) -> str:
    """Return ``FILE:LINE`` of the caller ``depth`` frames above the one that asks."""
    frame = sys._getframe(depth + 1)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def check_hooks(plugin: Any, hook_of: Callable[[str], str | None], hooks: list[str]) -> None:
    """Refuse a hook without its mark, with a misspelt name or with other parameters.

    Args:
        plugin: the module.
        hook_of: the hook that a function of that name is marked to implement, or None.
        hooks: the hooks that exist.

    Raises:
        UserError: which function is at fault, where, and how to write it.
    """
    for name, function in inspect.getmembers(plugin, inspect.isroutine):
        hook = hook_of(name)
        if hook is None:
            if name in hooks and function.__module__ == plugin.__name__:
                hint = "write @hookimpl above it, from benchmark.hookspecs"
                raise UserError(f"{name} is not marked ({place_of(function)}); {hint}")
        elif hook not in hooks:
            raise UserError(f"hook {hook!r} does not exist ({place_of(function)}). {near_misses(hook, hooks)}")
        elif [*inspect.signature(function).parameters] != ["register"]:
            found = f"{name}{inspect.signature(function)} ({place_of(function)})"
            raise UserError(f"{found} must have one parameter, called register: def {name}(register)")


def check_registration(name: Any, component: Any, summary: Any, citation: Any, options: Any) -> None:
    """Refuse arguments of ``register`` that can't be shown, typed on the command line or loaded.

    Raises:
        UserError: which argument, what it is, and what to pass.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UserError(f"the name {name!r} must be letters, digits, -, + and _: it is typed on the command line")
    for what, text in (("summary", summary), ("citation", citation)):
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"{name!r}: {what}={text!r} must say something: it stands in every table and list")
    for what, target in (("component", component), ("options", options)):
        if isinstance(target, str) and not re.fullmatch(r"[\w.]+:\w+", target):
            raise UserError(f"{name!r}: {what} {target!r} must be a class, or a string 'module:Class'")
        if not isinstance(target, type | str | None):
            raise UserError(f"{name!r}: {what} is an object of {type(target).__name__}; pass the class, without ()")
    if component is None:
        raise UserError(f"{name!r}: component is None; pass the class")


def check_base(cls: Any, base: type, who: str) -> None:
    """Refuse what is no subclass of ``base``, the interface of its kind.

    Raises:
        PluginError: what it is instead, and what to do.
    """
    if isinstance(cls, type) and issubclass(cls, base):
        return
    if not isinstance(cls, type):
        raise PluginError(f"{who}: {cls!r} is no class. Register a subclass of benchmark.interfaces.{base.__name__}.")
    other = [parent.__name__ for parent in cls.__mro__ if parent.__module__ == base.__module__]
    hint = f"register it with register_{other[0].lower()}s" if other else "derive it from that class"
    raise PluginError(f"{who}: {cls.__name__} is no subclass of {base.__module__}.{base.__name__}; {hint}.")


def check_class(cls: type, base: type, who: str) -> None:
    """Refuse a class that lacks a method of its interface ``base``, or whose method takes other parameters.

    Raises:
        PluginError: the method, where it is, and how the harness calls it.
    """
    for name, promised in vars(base).items():
        own = inspect.getattr_static(cls, name)
        if name.startswith("_"):
            continue
        if getattr(own, "__isabstractmethod__", False):
            made = [key for key, value in vars(cls).items() if inspect.isfunction(value) and not key.startswith("_")]
            raise PluginError(
                f"{who}: {cls.__name__} lacks {_call(name, promised)}, which every {base.__name__} must define. "
                f"It defines {', '.join(made) or 'nothing'} ({place_of(cls)})."
            )
        if inspect.isfunction(promised) and inspect.isfunction(own):
            _check_signature(cls, name, own, promised, who)


def check_attributes(made: Any, base: type, who: str) -> None:
    """Refuse an instance without an attribute that its interface ``base`` declares and gives no value.

    Raises:
        PluginError: which attributes are missing.
    """
    declared = [name for name in inspect.get_annotations(base) if name not in vars(base)]
    missing = [name for name in declared if inspect.getattr_static(made, name, None) is None]
    if missing:
        place = f"({place_of(type(made))})"
        raise PluginError(f"{who}: {type(made).__name__} sets no {', '.join(missing)}; set it in the class {place}.")


def _check_signature(cls: type, name: str, own: Callable[..., Any], promised: Callable[..., Any], who: str) -> None:
    try:
        inspect.signature(own).bind(*inspect.signature(promised).parameters)
    except TypeError as error:
        found = f"{cls.__name__}.{_call(name, own)}"
        raise PluginError(
            f"{who}: {found} is called as {_call(name, promised)}. Give it these parameters ({place_of(own)})."
        ) from error


def _call(name: str, function: Any) -> str:
    if not inspect.isfunction(function):
        return name
    return f"{name}({', '.join(inspect.signature(function).parameters)})"

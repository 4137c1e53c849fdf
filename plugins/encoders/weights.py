"""Weights: where they lie, how they are read without a pickle, and what identifies them."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import logging
import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from benchmark.errors import UserError

WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")
"""Keys under which training scripts keep the weights beside optimiser and epoch."""


def split_path(name: str) -> tuple[str, Path | None]:
    """Split ``MODEL//path`` into the model and the path of its weights, None where there is none."""
    model, slashes, path = name.partition("//")
    return model, Path(path).expanduser() if slashes else None


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read named tensors from a safetensors file, or from a torch file that holds tensors and nothing else.

    Raises:
        UserError: there is no file, it is truncated or no checkpoint, or it is a pickle that would have to run code.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such file. Give the path of a .safetensors or .pt file after the //.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(_pickle_sentence(path, error)) from error
    except (OSError, EOFError, RuntimeError, ValueError, SafetensorError) as error:
        raise UserError(
            f"{path}: can't be read as a checkpoint, it is truncated or of another kind ({first_line(error)}). "
            "Fetch it again and compare its SHA-256."
        ) from error
    return _tensors(path, loaded)


def _pickle_sentence(path: Path, error: Exception) -> str:
    # torch says "Weights only load failed" both for a foreign class and for bytes that are no pickle at all.
    if any(word in str(error) for word in ("Unsupported global", "Unsupported class", "TorchScript")):
        return (
            f"{path}: it holds more than tensors, and reading it would run code from the file, which is never done. "
            "Save its state_dict as safetensors where you trust it, and name that file."
        )
    return f"{path}: can't be read as a checkpoint, it is truncated or of another kind. Fetch it again."


def _tensors(path: Path, loaded: Any) -> dict[str, Tensor]:
    for key in WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not loaded or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise UserError(f"{path}: holds no mapping of named tensors. Save the state_dict of the model.")
    return {str(name).removeprefix("module."): value for name, value in loaded.items()}


def wrong_architecture(path: Path, model: str, why: BaseException | str) -> UserError:
    """Return the error of a checkpoint that does not fit ``model``; ``why`` is the first difference."""
    return UserError(
        f"{path} does not hold the weights of {model} ({first_line(why)}). Name the architecture that it comes from."
    )


def unreachable(wanted: str, looked: str, instead: str, why: BaseException) -> UserError:
    """Return the error of an encoder that needs a hub and can't get its file from there.

    ``wanted`` names the file, ``looked`` the places, ``instead`` how to give a local path.
    """
    return UserError(
        f"Could not get {wanted}; looked in {looked} ({type(why).__name__}: {first_line(why).split('. ')[0]}). "
        f"Without a connection, copy the file here by hand and name it: {instead}."
    )


def hub_places() -> str:
    """Say where Hugging Face files are looked for, for ``unreachable``."""
    from huggingface_hub import constants

    place = "offline by HF_HUB_OFFLINE" if constants.HF_HUB_OFFLINE else f"then {constants.ENDPOINT}"
    return f"{constants.HF_HUB_CACHE}, {place}"


def suggest(name: str, known: Iterable[str]) -> str:
    """Return "Did you mean X or Y? ", or nothing; the lists of these libraries are too long to print."""
    near = difflib.get_close_matches(name, list(known), n=3)
    return f"Did you mean {' or '.join(near)}? " if near else ""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep libraries from logging: open_clip warns of random weights before ours are in, a hub of each retry."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


def first_line(error: BaseException | str) -> str:
    """Return the first two lines of a message as one, at most 200 characters: libraries list every difference."""
    return " ".join(str(error).strip().splitlines()[:2]).replace("\t", "")[:200]


def tensor_digest(state: Mapping[str, Tensor]) -> str:
    """Return a hex digest of the names, shapes and values of ``state``."""
    total = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        total.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        total.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def digest(*parts: str) -> str:
    """Return the hex digest of several strings."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def package_folder(package: str, install: str = "pip install dermcir") -> Path:
    """Return the folder of an installed package without importing it: importing the text package would import
    sentence-transformers, which nothing here needs.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise UserError(f"The package {package} is missing; install it: {install}.")
    return Path(spec.origin).parent

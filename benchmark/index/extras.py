"""Libraries that only case search needs: they come with extras of the package."""

from __future__ import annotations

import importlib
from typing import Any

from benchmark.errors import UserError

EXTRAS = {"faiss": "search", "pymilvus": "milvus", "milvus_lite": "milvus", "fastapi": "serve", "uvicorn": "serve"}


def require(module: str) -> Any:
    """Import ``module``.

    Raises:
        UserError: it is not installed; the sentence says what to install.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise UserError(
            f"This needs the library {module}, which is not installed: pip install 'dermcir[{EXTRAS[module]}]' "
            f"(in a clone: pip install -e '.[{EXTRAS[module]}]')."
        ) from error

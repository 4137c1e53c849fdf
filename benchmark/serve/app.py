"""The routes. Everything that takes time runs in a bounded number of threads."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from benchmark import __version__
from benchmark.errors import PluginError, UserError
from benchmark.index.commands import NOTICE
from benchmark.serve import bodies
from benchmark.serve.desk import Desk, Missing
from benchmark.serve.guard import SCRIPTS, App, Guard
from benchmark.serve.slots import Busy, Slots
from benchmark.serve.uploads import MOST_BYTES

T = TypeVar("T")
PAGE = Path(__file__).parent / "page"
PICTURES_WAITING = 200
"""A page asks for all its pictures at once, and each is quick."""
RETRY_S = 1
log = logging.getLogger(__name__)
Number = Annotated[int, Query(ge=0, description="number of the index")]
CaseId = Annotated[str, Query(max_length=256, description="id of a case")]
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": bodies.Problem} for status in (400, 401, 403, 404, 413, 422, 429, 500)
}


def make_app(desk: Desk, workers: int, waiting: int, token: str | None = None) -> App:
    """Return the service over the indexes of ``desk``."""
    # The documentation pages of FastAPI load scripts from elsewhere; /openapi.json says the same.
    api = FastAPI(title="dermcir case search", version=__version__, description=NOTICE, docs_url=None, redoc_url=None)
    searching, showing = Slots(workers, waiting), Slots(workers, PICTURES_WAITING)
    _add_handlers(api)
    _add_page(api)

    @api.get("/health", response_model=bodies.Health)
    async def health() -> bodies.Health:
        """Say whether the service can answer."""
        cases = sum(searcher.manifest.count for searcher in desk.searchers)
        return bodies.Health(
            status="ok", indexes=len(desk.searchers), cases=cases, inside=searching.inside, most=searching.most
        )

    @api.get("/api/indexes", responses=PROBLEMS)
    async def indexes() -> list[bodies.IndexInfo]:
        """List the indexes that can be asked."""
        return await showing.run(desk.info)

    @api.post("/api/search", responses=PROBLEMS)
    async def search(body: bodies.SearchBody) -> bodies.SearchAnswer:
        """Find cases for a picture, a text, or both. Neither is stored or logged."""
        return await searching.run(lambda: desk.search(body))

    @api.post("/api/rank", responses=PROBLEMS)
    async def rank(body: bodies.RankBody) -> bodies.RankAnswer:
        """Weigh an answered query anew: exact, over the whole index, without encoding anything."""
        return await searching.run(lambda: desk.rank(body))

    @api.get("/api/picture", response_class=Response, responses={**PROBLEMS, 200: {"content": {"image/jpeg": {}}}})
    async def picture(index: Number, case: CaseId) -> Response:
        """Return a case's picture, made smaller."""
        content = await showing.run(lambda: desk.picture(index, case))
        return Response(content, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})

    @api.get("/api/look", responses=PROBLEMS)
    async def look(index: Number, case: CaseId) -> bodies.Look:
        """Return where the method looks on a case's picture."""
        return await showing.run(lambda: desk.look(index, case))

    return Guard(api, token, MOST_BYTES * 4 // 3 + 100_000)


def _add_page(api: FastAPI) -> None:
    for route, name, kind in (
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/page.css", "page.css", "text/css; charset=utf-8"),
        *((f"/{name}", name, "text/javascript; charset=utf-8") for name in SCRIPTS),
    ):
        api.add_api_route(route, _constant((PAGE / name).read_bytes(), kind), include_in_schema=False)


def _constant(content: bytes, kind: str) -> Callable[[], Any]:
    async def answer() -> Response:
        return Response(content, media_type=kind)

    return answer


def _add_handlers(api: FastAPI) -> None:
    def problem(status: int, sentence: str, **headers: str) -> JSONResponse:
        return JSONResponse({"error": sentence}, status, headers=headers)

    @api.exception_handler(UserError)
    async def mistake(request: Request, error: UserError) -> JSONResponse:
        return problem(404 if isinstance(error, Missing) else 400, str(error))

    @api.exception_handler(Busy)
    async def busy(request: Request, error: Busy) -> JSONResponse:
        return problem(
            429, "Too many are asking at the moment; try again in a second.", **{"Retry-After": str(RETRY_S)}
        )

    @api.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # The input itself is left out: it may be somebody's picture.
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part != "body") or "the request"
        return problem(422, f"{place}: {first['msg']}.")

    @api.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail))

    @api.exception_handler(PluginError)
    async def defect(request: Request, error: PluginError) -> JSONResponse:
        log.error("%s", error)
        return problem(500, "A plugin failed; the log of the service says where.")

    @api.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        return problem(500, "Something failed here; the service's terminal says where.")

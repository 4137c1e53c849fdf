"""The service on a real port: what it answers, what it refuses, and what it never gives away."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from PIL import Image

from benchmark.errors import UserError
from benchmark.index.build import add
from benchmark.index.searcher import Searcher
from benchmark.serve import uploads
from benchmark.serve.slots import Busy, Slots
from tests.searching import serving

TEXT = "thick border, dark spot"


def ask(url: str, body: object = None, **headers: str) -> tuple[int, bytes]:
    """Return status and answer of a GET, or of a POST of ``body`` as JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {"Content-Type": "application/json", **headers})
    try:
        with urlopen(request) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


def answered(url: str, body: object) -> dict:
    status, content = ask(url, body)
    assert status == 200, content
    return json.loads(content)


def refused(url: str, body: object, status: int, words: str, **headers: str) -> None:
    got, content = ask(url, body, **headers)
    assert (got, words in json.loads(content)["error"]) == (status, True), content


def png(width: int = 32, height: int = 32, colour: str = "red") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(stream, "PNG")
    return stream.getvalue()


def packed(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_picture_and_words_from_two_methods(service: str, searcher: Searcher) -> None:
    case = searcher.store.get(["toy-3"])[0].case
    body = {"indexes": [0, 1], "image": packed(Path(case.picture).read_bytes()), "text": TEXT, "k": 4}
    ours, tirg = answered(f"{service}/api/search", body)["answers"]
    assert [one["rank"] for one in ours["results"]] == [1, 2, 3, 4]
    assert list(ours["results"][0]["parts"]) == ["global", "border", "spot"]
    assert list(tirg["results"][0]["parts"]) == ["whole"]
    assert (ours["local_weight"], tirg["local_weight"]) == (0.4, None)
    assert [one["criterion"] for one in ours["understood"]] == ["border", "spot"]
    assert ours["look"]["names"] == ["border", "spot"] and ours["look"]["grid"] == [4, 4] and tirg["look"] is None
    assert ours["own_picture"] == case.sha256
    assert "/" not in json.dumps([one["facts"] for one in ours["results"]])  # no path of this machine


def test_weighing_anew_is_the_search_itself(service: str) -> None:
    asked = {"image": packed(png()), "text": TEXT, "k": 5}
    (first,) = answered(f"{service}/api/search", asked)["answers"]
    for change in ({"local_weight": 0.9}, {"filters": {"spot": "dark"}}, {"local_weight": 0.0, "k": 3}):
        (expected,) = answered(f"{service}/api/search", {**asked, **change})["answers"]
        again = answered(f"{service}/api/rank", {"query": first["query"], "k": 5, **change})
        assert [one["id"] for one in again["results"]] == [one["id"] for one in expected["results"]]
        scores = [[one["score"] for one in made["results"]] for made in (again, expected)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_a_case_can_be_asked_with_and_shown(service: str) -> None:
    (answer,) = answered(f"{service}/api/search", {"case": "toy-3", "k": 50, "filters": {"split": "train"}})["answers"]
    assert [one["id"] for one in answer["results"] if one["same_picture"]] == ["toy-3"]
    status, content = ask(f"{service}/api/picture?index=0&case=toy-3")
    assert status == 200 and Image.open(io.BytesIO(content)).size == (32, 32)
    look = json.loads(ask(f"{service}/api/look?index=0&case=toy-3")[1])
    assert [len(one) for one in look["maps"]] == [32, 32]  # 4 x 4 cells, two hex digits each
    refused(f"{service}/api/look?index=1&case=toy-3", None, 404, "has no masks")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 400, "a picture, a text or both"),
        ({"text": "x", "image": packed(png()), "case": "toy-3"}, 400, "not with both"),
        ({"image": "%%%"}, 400, "no base64"),
        ({"image": packed(b"GIF89a")}, 400, "can't be read as a picture"),
        ({"image": packed(png()[:-30])}, 400, "can't be read as a picture"),
        ({"image": packed(png(7000, 6000))}, 400, "7000 x 6000 pixels"),
        ({"text": "x", "local_weight": 2}, 422, "local_weight"),
        ({"text": "x" * 2001}, 422, "text"),
        ({"text": "x", "k": 51}, 422, "k: "),
        ({"text": "x", "path": "/etc/passwd"}, 422, "path"),
        ({"text": "x", "indexes": [2]}, 404, "no index 2"),
        ({"text": "x", "filters": {"ward": "1"}}, 400, "Available"),
        ({"case": "../../etc/passwd"}, 404, "no case"),
        ({"text": "x", "indexes": [1], "local_weight": 0.5}, 200, ""),  # the page's slider moves one of two methods
    ],
)
def test_mistakes_get_a_sentence(service: str, body: dict, status: int, words: str) -> None:
    if status == 200:
        answered(f"{service}/api/search", body)
    else:
        refused(f"{service}/api/search", body, status, words)


def test_a_query_that_is_none_is_refused(service: str) -> None:
    for query in ("", packed(b"1234"), packed(b"\xff" * 4 * 48), "é"):  # three blocks of 16; 0xffffffff is NaN
        refused(f"{service}/api/rank", {"query": query}, 400, "`query` is none")


def test_no_file_of_the_machine_can_be_asked_for(service: str, searcher: Searcher) -> None:
    picture = searcher.store.get(["toy-3"])[0].case.picture
    for path in ("/../pyproject.toml", "/etc/passwd", "/page/index.html", "/..%2f..%2fetc/passwd", picture):
        assert ask(service + path)[0] == 404
    for name in (picture, "../toy-3", "toy-3%00.png", "/etc/passwd"):
        assert ask(f"{service}/api/picture?index=0&case={name}")[0] == 404


def test_a_picture_that_changed_is_no_longer_shown(toy_index: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(toy_index, tmp_path / "own"))
    (tmp_path / "mine.png").write_bytes(png())
    (tmp_path / "new.jsonl").write_text('{"id": "mine", "image": "mine.png"}')
    add(own, tmp_path / "new.jsonl")
    with serving((own,)) as address:
        assert ask(f"{address}/api/picture?index=0&case=mine")[0] == 200
        (tmp_path / "mine.png").unlink()
        (tmp_path / "mine.png").symlink_to("/etc/passwd")
        assert ask(f"{address}/api/look?index=0&case=mine")[0] == 404


def test_only_this_machine_and_this_page_are_answered(service: str) -> None:
    refused(f"{service}/health", None, 403, "this machine alone", Host="cases.example")
    refused(f"{service}/api/search", {"text": "x"}, 403, "its own page", Origin="http://cases.example")
    assert ask(f"{service}/health", Origin=service)[0] == 200


def test_with_a_token_only_the_page_is_open(toy_index: Path) -> None:
    with serving((toy_index,), token="correct horse battery") as address:
        for path in ("/", "/page.js", "/page.css", "/health"):
            assert ask(address + path, Host="cases.example")[0] == 200
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "correct horse"}):
            for path in ("/api/indexes", "/openapi.json", "/api/picture?index=0&case=toy-3", "/nowhere"):
                refused(address + path, None, 401, "token", **headers)
        assert ask(f"{address}/api/indexes", Authorization="Bearer correct horse battery")[0] == 200


def test_a_host_that_is_none_is_refused(service: str) -> None:
    refused(f"{service}/health", None, 403, "this machine alone", Host="[")
    refused(f"{service}/health", None, 403, "its own page", Origin="http://[")


def test_the_page_takes_no_body(service: str) -> None:
    refused(f"{service}/health", {"text": "x" * 1000}, 413, "more than 0 MB")


def test_bodies_are_bounded_before_they_are_read(service: str) -> None:
    host, port = service.removeprefix("http://").split(":")
    declared = b"POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99000000\r\n\r\n"
    chunked = b"POST /api/search HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    for start, chunk in ((declared, b""), (chunked, b"100000\r\n" + b"x" * 0x100000 + b"\r\n")):
        with socket.create_connection((host, int(port))) as line:
            line.sendall(start)
            try:
                for _ in range(20 if chunk else 0):
                    line.sendall(chunk)
            except OSError:
                pass  # it hung up, as it should
            line.settimeout(5)
            assert b" 413 " in line.recv(200)


def test_headers_keep_the_page_to_itself(service: str) -> None:
    with urlopen(f"{service}/") as answer:
        policy = answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        page = answer.read().decode()
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "http://" not in page and "https://" not in page  # nothing from elsewhere
    assert "Not a medical device" in page


def test_health_and_openapi(service: str) -> None:
    health = json.loads(ask(f"{service}/health")[1])
    assert (health["status"], health["indexes"], health["cases"], health["inside"]) == ("ok", 2, 144, 0)
    api = json.loads(ask(f"{service}/openapi.json")[1])
    assert {"/api/search", "/api/rank", "/api/picture", "/api/look", "/api/indexes", "/health"} == set(api["paths"])
    assert "not a medical device" in api["info"]["description"]


def test_nothing_of_a_query_is_logged_or_stored(
    service: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = set(tmp_path.rglob("*"))
    answered(f"{service}/api/search", {"image": packed(png()), "text": "a very private finding"})
    refused(f"{service}/api/search", {"text": "private " * 400}, 422, "text")
    assert capfd.readouterr() == ("", "")
    assert set(tmp_path.rglob("*")) == before


def test_many_at_once_are_answered_or_told_to_come_back(toy_index: Path) -> None:
    with serving((toy_index,), workers=1, waiting=1) as address, ThreadPoolExecutor(12) as pool:
        body = {"image": packed(png(600, 600)), "text": TEXT}
        statuses = list(pool.map(lambda _: ask(f"{address}/api/search", body)[0], range(36)))
        assert set(statuses) == {200, 429}
        assert ask(f"{address}/api/search", body)[0] == 200
        assert json.loads(ask(f"{address}/health")[1])["inside"] == 0


def test_slots_work_on_so_many_and_let_so_many_wait() -> None:
    open_gate, begun = threading.Event(), threading.Semaphore(0)

    def work() -> str:
        begun.release()
        open_gate.wait(10)
        return "done"

    async def crowd() -> list[object]:
        slots = Slots(workers=2, waiting=1)
        tasks = [asyncio.create_task(slots.run(work)) for _ in range(4)]
        await asyncio.to_thread(lambda: [begun.acquire(timeout=10) for _ in range(2)])
        assert slots.inside == 3 and not begun.acquire(blocking=False)  # two work, one waits
        open_gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    *answers, last = asyncio.run(crowd())
    assert answers == ["done"] * 3 and isinstance(last, Busy)


def test_a_picture_is_upright_and_without_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010E] = "name of the patient"
    stream = io.BytesIO()
    Image.new("RGB", (40, 20)).save(stream, "JPEG", exif=exif)
    picture = uploads.decode_picture(stream.getvalue())
    assert picture.size == (20, 40)
    small = uploads.thumbnail(picture, 10)
    assert Image.open(io.BytesIO(small)).size == (5, 10) and b"patient" not in small


def test_too_much_base64_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(UserError, match="more than 12 MB"):
        uploads.decode_base64("A" * 16_000_008)

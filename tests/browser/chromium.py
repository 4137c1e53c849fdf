"""Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip
REQUIRED = os.environ.get("DERMCIR_BROWSER") == "required"

# The first search of a service reads its model, on a machine that does other work too.
expect.set_options(timeout=30_000)

needs_chromium = pytest.mark.skipif(
    not Path(CHROMIUM).exists() and not REQUIRED, reason="Chromium is not installed: apt-get install chromium"
)


@contextmanager
def launched() -> Iterator[Browser]:
    """Start the browser; it ends afterwards."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def watched(browser: Browser) -> Iterator[tuple[Page, list[str], list[str]]]:
    """Open a page of 1280 x 900; return it with what it complains of and the addresses that it asks for."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    yield page, complaints, requests
    context.close()


LUMINANCE = """selector => {
  const parse = (text) => text.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  const light = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;
  const element = document.querySelector(selector);
  let under = element;
  while (getComputedStyle(under).backgroundColor === "rgba(0, 0, 0, 0)") under = under.parentElement;
  return [getComputedStyle(element).color, getComputedStyle(under).backgroundColor].map((c) => light(parse(c)));
}"""


def contrast(page: object, selector: str) -> float:
    """Return the contrast of an element's text with what is under it (WCAG 2: at least 4.5)."""
    dim, bright = sorted(page.evaluate(LUMINANCE, selector))  # type: ignore[attr-defined]
    return float((bright + 0.05) / (dim + 0.05))

from __future__ import annotations

import re

import pytest

from tests.conftest import FAST, ROOT, TOY_RUN, Command

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_method_of_the_readme_runs(tmp_path, benchmark: Command) -> None:  # type: ignore[no-untyped-def]
    (code,) = blocks("python")
    (tmp_path / "film.py").write_text(code)
    done = benchmark(*TOY_RUN, *FAST, "--plugin", "film.py", "--methods", "film", "--no-controls", "--seeds", "0")
    assert done.returncode == 0, done.stderr
    assert "film" in done.stdout
    assert len(code.splitlines()) <= 30


@pytest.mark.parametrize("command", sorted(set(re.findall(r"python -m benchmark (\w+)", README))))
def test_every_command_that_the_readme_names_exists(benchmark: Command, command: str) -> None:
    assert benchmark(command, "--help").returncode == 0


def test_every_flag_that_the_readme_names_exists(benchmark: Command) -> None:
    data = [("data", name) for name in ("verify", "stats", "audit", "preview")]
    alone = [(name,) for name in ("run", "report", "tune", "masks", "explain", "index", "search", "serve", "speed")]
    known = "".join(benchmark(*command, "--help").stdout for command in (*alone, *data))
    for flag in set(re.findall(r" (--[a-z-]+)", "".join(blocks("console")))) - {"--index-url"}:
        assert flag in known, flag


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / folder / "README.md" for folder in ("plugins", "baselines", "results"))]
    for page in pages:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page}: {target}"

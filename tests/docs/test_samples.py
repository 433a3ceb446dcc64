"""Every sample in the README, in docs/ and in docstrings runs, and prints what stands beside it."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from hyped_beam.nodes import registry

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "hyped_beam"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*) *(.*)$")
PLACE = re.compile(r"[\w./-]+\.(py|md):\d+")

LEFT_OUT = "not run"
"""After the name of the language of a block that needs more than a checkout, and of nothing else."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `line` is that of its first line of text."""

    language: str
    words: str
    text: str
    line: int
    adjoins: bool


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page; one adjoins the block before it where only white space lies between."""
    blocks: list[Block] = []
    opening, held, between = None, [], True
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = FENCE.match(line)
        if opening is None and fence:
            opening, held = (number + 1, *fence.groups()), []
        elif opening is not None and line == "```":
            first, language, words = opening
            blocks.append(Block(language, words, "\n".join(held) + "\n", first, not between))
            opening, between = None, False
        elif opening is not None:
            held.append(line)
        elif line.strip():
            between = True
    assert opening is None, f"{name_of(page)}: a block is not closed"
    return blocks


def same_output(expected: str, printed: str) -> bool:
    """Equal but for `...`, white space, and which line of which file is named."""
    expected, printed = (PLACE.sub("FILE:LINE", text) for text in (expected, printed))
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(expected, printed, flags)


def check_output(page: Path, block: Block, printed: str) -> None:
    place = f"{name_of(page)}:{block.line}"
    assert same_output(block.text, printed), f"{place} says\n{block.text}\nbut it is\n{printed}"


def run_python(page: Path, block: Block, names: dict[str, object]) -> str:
    """What a block prints; its lines are known by their numbers on the page."""
    shown = name_of(page)
    if block.text.startswith(">>> "):
        test = doctest.DocTestParser().get_doctest(block.text, names, shown, shown, block.line - 1)
        said = io.StringIO()
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        found = doctest.DocTestRunner(optionflags=flags).run(test, out=said.write, clear_globs=False)
        names.update(test.globs)
        assert found.failed == 0, f"{name_of(page)}:{block.line}\n{said.getvalue()}"
        return ""
    printed = io.StringIO()
    code = compile("\n" * (block.line - 1) + block.text, shown, "exec")
    with contextlib.redirect_stdout(printed):
        exec(code, names)  # noqa: S102 - running what the page says is the test
    return printed.getvalue()


def run_commands(page: Path, block: Block) -> None:
    """Run the lines that begin with `$ `, and compare what follows each, where something does."""
    for command in block.text.split("$ ")[1:]:
        line, _, expected = command.partition("\n")
        program, *arguments = shlex.split(line)
        known = {"python": [sys.executable], "cat": ["cat"], "ls": ["ls"], "head": ["head"]}
        place = f"{name_of(page)}:{block.line}: {line}"
        assert program in known, f"{place}\nmark it as: ```console {LEFT_OUT}"
        finished = subprocess.run([*known[program], *arguments], check=False, capture_output=True, text=True)
        said = finished.stdout + finished.stderr
        assert finished.returncode == 0, f"{place}\n{said}"
        assert not expected.strip() or same_output(expected, said), f"{place}\n{said}"


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """What samples register is known to them alone."""
    registry.load_library()
    methods = {family: dict(known) for family, known in registry._methods.items()}
    monkeypatch.setattr(registry, "_methods", methods)
    monkeypatch.setattr(registry, "_operators", dict(registry._operators))
    monkeypatch.setattr(registry, "_nodes", dict(registry._nodes))


@pytest.fixture(autouse=True)
def checkout(tmp_path, monkeypatch):
    """A folder like a fresh checkout, which samples may write to."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_samples_of_the_page(page, monkeypatch):
    main = ModuleType("__main__")  # a sample is a user's script: its classes travel to workers as such
    monkeypatch.setitem(sys.modules, "__main__", main)
    printed = None
    for block in blocks_of(page):
        if block.words == LEFT_OUT:
            printed = None
        elif block.language == "python":
            printed = run_python(page, block, vars(main))
        elif block.language == "console":
            run_commands(page, block)
        elif block.language == "text" and block.adjoins and printed is not None:
            check_output(page, block, printed)
            printed = None
    for name, test in list(vars(main).items()):
        if name.startswith("test_"):
            test()
    assert left_behind() == set(), "samples write to out/, which git ignores"


def left_behind() -> set[str]:
    """What samples have left in the checkout, outside the folders that git ignores."""
    ignored = {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
    return {path.name for path in Path.cwd().iterdir()} - {"examples", *ignored}


def modules_with_samples() -> list[str]:
    files = [file for file in sorted(PACKAGE.rglob("*.py")) if ">>> " in file.read_text(encoding="utf-8")]
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    return [name.removesuffix(".__init__") for name in names]


@pytest.mark.parametrize("name", modules_with_samples())
def test_docstrings_of_the_module(name):
    module = importlib.import_module(name)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        found = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert found.attempted, f"{name} has samples that doctest does not see"
    assert found.failed == 0, said.getvalue()
    assert left_behind() == set()


LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    made_by_commands = {"docs/performance.md", "performance.md"}
    missing = [link for link in links if link not in made_by_commands and not (page.parent / link).exists()]
    assert not missing

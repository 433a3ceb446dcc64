"""The documents build into a site, without warnings and without network, and the reference has all nodes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hyped_beam.nodes import registry

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site."""
    made = tmp_path_factory.mktemp("site")
    options = ["--fail-on-warning", "--keep-going", "--quiet", "-d", made / "doctrees"]
    finished = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, DOCS, made / "html"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"},
    )
    assert finished.returncode == 0, finished.stderr
    return made / "html"


def test_every_page_is_in_the_site(site):
    pages = [page.relative_to(DOCS) for suffix in ("md", "rst") for page in DOCS.rglob(f"*.{suffix}")]
    missing = [page for page in pages if not (site / page).with_suffix(".html").exists()]
    assert pages
    assert not missing


def test_the_reference_has_every_node_of_the_library(site):
    registry.load_library()
    text = "".join(page.read_text(encoding="utf-8") for page in (site / "reference").glob("*.html"))
    names = [name.replace(":", ".") for name in registry.registered() if name.startswith(registry.LIBRARY)]
    assert names
    assert not [name for name in names if f'id="{name}"' not in text]


def test_pages_link_to_pages_and_not_to_files_outside(site):
    assert 'href="howto/own_format.html"' in (site / "files.html").read_text(encoding="utf-8")
    text = (site / "data_flow.html").read_text(encoding="utf-8")
    assert "examples/data/README.md" in text
    assert 'href="../' not in text

"""A user's own module of nodes, and a folder of files that is read with a cache."""

from __future__ import annotations

import importlib
import os
import sys

import pytest

from tests.dsl.cached_runs import Source
from tests.dsl.saved_flows import MODULE, ROOT


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A user's module, importable here and in other processes."""
    folder = tmp_path / "modules"
    folder.mkdir()
    name = f"own_nodes_{abs(hash(str(tmp_path)))}"
    (folder / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(folder)]))
    yield importlib.import_module(name)
    del sys.modules[name]


@pytest.fixture
def source(tmp_path):
    """A folder of files, and runs over it with a cache."""
    return Source(tmp_path)

"""Where jobs are run in tests, beside `local`, which all of them have to agree with."""

from __future__ import annotations

import pytest

PRISM = pytest.mark.needs("prism")
WORKERS = {"direct_num_workers": 2}
THREADS = ("direct", {**WORKERS, "direct_running_mode": "multi_threading"})
PROCESSES = ("direct", {**WORKERS, "direct_running_mode": "multi_processing"})

EVERYWHERE = [
    pytest.param("direct", id="direct"),
    pytest.param(THREADS, id="direct with threads"),
    pytest.param(PROCESSES, id="direct with processes"),
    pytest.param("prism", id="prism", marks=PRISM),
]

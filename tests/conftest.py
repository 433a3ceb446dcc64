"""What all tests share."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter

import hypothesis
import pytest

# A busy machine is no defect: examples may take as long as they take.
hypothesis.settings.register_profile("tests", deadline=None, max_examples=50)
hypothesis.settings.load_profile("tests")

LEFT_OUT = "left out: needs "

CACHE = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep tests, and the programs they start, off the network, the screen and the user's caches."""
    config.stash[CACHE] = tempfile.TemporaryDirectory(prefix="hyped_beam-tests-")
    os.environ |= {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": config.stash[CACHE].name,
        "MPLBACKEND": "agg",
    }


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what the tests cached."""
    config.stash[CACHE].cleanup()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out a test whose programs are missing; under CI nothing may be left out."""
    needed = [program for mark in item.iter_markers("needs") for program in mark.args]
    missing = [program for program in needed if shutil.which(program) is None]
    if not missing:
        return
    programs = " and ".join(missing)
    if os.environ.get("CI"):
        pytest.fail(f"needs {programs}, and with CI set no test is left out", pytrace=False)
    pytest.skip(LEFT_OUT + programs)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end which programs were missing, and how many tests that cost."""
    reasons = [report.longrepr[2] for report in terminalreporter.stats.get("skipped", [])]
    left_out = Counter(reason.partition(LEFT_OUT)[2] for reason in reasons if LEFT_OUT in reason)
    if not left_out:
        return
    terminalreporter.section("left out")
    for programs, count in sorted(left_out.items()):
        terminalreporter.line(f"{count} tests need {programs}, which this machine does not have")

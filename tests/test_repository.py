"""What is committed, and what is shipped."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# In brackets, so that this file does not match itself.
REGISTRY_HOST = re.compile(
    r"https?://[^\s\"'<>]*/(simple|maven2)/"
    r"|https?://registry[.]"
    r"|pypi[.]org|pythonhosted[.]org|npmjs[.]org|repo1?[.]maven|proxy[.]golang[.]org"
)
MACHINE_PATH = re.compile(r"(?<![\w.})])/(root|work|tmp|home/\w+|Users/\w+)/")


def run(*command: str | Path, **environment: str) -> str:
    """The output of a command; a failure shows all that it said."""
    finished = subprocess.run(
        [str(part) for part in command],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | environment,
        cwd=environment.get("PWD", ROOT),
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def committed_files() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    return run("git", "ls-files", "-z").rstrip("\0").split("\0")


@pytest.mark.needs("git")
@pytest.mark.parametrize("pattern", [REGISTRY_HOST, MACHINE_PATH], ids=["registry host", "machine path"])
def test_no_committed_text_names_a(pattern):
    found = []
    for name in committed_files():
        path = ROOT / name
        if not path.is_file():  # removed, and not yet committed
            continue
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [f"{name}:{number}: {line}" for number, line in enumerate(lines, 1) if pattern.search(line)]
    assert not found, "\n".join(found)


@pytest.fixture(scope="module")
def distribution(tmp_path_factory):
    """A folder with the sdist, and the wheel that was built from that sdist."""
    folder = tmp_path_factory.mktemp("distribution")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def installed(distribution, tmp_path_factory):
    """A folder into which the wheel is installed; dependencies are those of this environment."""
    target = tmp_path_factory.mktemp("installed")
    (wheel,) = distribution.glob("*.whl")
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps"]
    run(*uv, "--python", sys.executable, "--target", target, wheel)
    return target


def try_installed(installed, program):
    """What a program prints that finds hyped_beam in the installed wheel and not in this checkout."""
    return run(sys.executable, "-c", program, PYTHONPATH=str(installed), PWD=str(installed))


@pytest.mark.needs("git")
def test_wheel_holds_the_package_and_the_runners_and_nothing_else(distribution):
    (wheel,) = distribution.glob("*.whl")
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    committed = committed_files()
    package = {name for name in committed if name.startswith("hyped_beam/")}
    runners = {f"hyped_beam/_{name}" for name in committed if name.startswith("runners/")}
    assert package | runners <= shipped
    assert {name.partition("/")[0] for name in shipped} == {"hyped_beam"}


def test_wheel_has_types_licence_and_a_runner_profile(installed):
    assert (installed / "hyped_beam/py.typed").exists()
    assert list(installed.glob("hyped_beam-*.dist-info/licenses/LICENSE"))
    assert (installed / "hyped_beam/_runners/direct/profile.toml").read_text().startswith('name = "direct"')


def test_importing_the_package_imports_no_heavy_library(installed):
    program = "import json, sys, hyped_beam; print(json.dumps([hyped_beam.__file__, sorted(sys.modules)]))"
    file, modules = json.loads(try_installed(installed, program))
    assert Path(file).is_relative_to(installed)
    assert not {"apache_beam", "datasets", "transformers", "pandas", "torch"} & set(modules)


FLOW = """
import datasets
import hyped_beam
from hyped_beam import DataFlow

mails = datasets.Dataset.from_dict({"text": ["One two", "three", ""]})
flow = DataFlow(features=mails.features)
words = flow.src_features.text.split().length()
applied, aggregates = flow.apply(mails, collect={"words": words})
print([hyped_beam.__file__, applied["words"][:], aggregates])
"""


def test_a_flow_runs_from_the_wheel(installed):
    printed = try_installed(installed, FLOW).splitlines()[-1]
    assert printed == f"['{installed}/hyped_beam/__init__.py', [2, 1, 0], None]"

"""Build the Prism program of this runner, from the sources of the installed version of Beam.

    python runners/prism/build.py [FOLDER]

Prism as Beam ships it listens on all network interfaces, asks nobody who they are, and starts programs for
whoever gives it a job. What is built here takes jobs at a Unix socket that its user alone can open
(`--job_socket=PATH`), listens at 127.0.0.1 without one, and refuses jobs whose steps it would have to start a
program or a container for.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

MODULE = "github.com/apache/beam/sdks/v2"
PRISM = Path("go/pkg/beam/runners/prism/internal")


class Replacement(NamedTuple):
    """Lines of a file that must be there exactly once, and what takes their place."""

    file: Path
    old: str
    new: str


REPLACEMENTS = (
    Replacement(
        PRISM / "jobservices/server.go",
        """	lis, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
""",
        """	lis, err := worker.Listen(port)
""",
    ),
    Replacement(
        PRISM / "jobservices/server.go",
        """	_, port, _ := net.SplitHostPort(s.lis.Addr().String())
	return fmt.Sprintf("localhost:%v", port)
""",
        """	return worker.EndpointOf(s.lis)
""",
    ),
    Replacement(
        PRISM / "worker/worker.go",
        """	_, p, _ := net.SplitHostPort(lis.Addr().String())
	mw := &MultiplexW{
		endpoint: "localhost:" + p,
""",
        """	mw := &MultiplexW{
		endpoint: EndpointOf(lis),
""",
    ),
    Replacement(
        PRISM / "environments.go",
        """	switch e.GetUrn() {
	case urns.EnvExternal:
""",
        """	if e.GetUrn() != urns.EnvExternal {
		return fmt.Errorf("this Prism starts no programs for jobs: %v is of the kind %v", env, e.GetUrn())
	}

	switch e.GetUrn() {
	case urns.EnvExternal:
""",
    ),
)

LISTEN = """package worker

import (
	"flag"
	"fmt"
	"net"
	"os"
)

var jobSocket = flag.String("job_socket", "",
	"path of a Unix socket to take jobs at, which only its user can open, instead of a port of 127.0.0.1")

// Listen opens the one listener of the program.
func Listen(port int) (net.Listener, error) {
	if *jobSocket == "" {
		return net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	}
	lis, err := net.Listen("unix", *jobSocket)
	if err != nil {
		return nil, err
	}
	return lis, os.Chmod(*jobSocket, 0o600)
}

// EndpointOf is what clients on this machine dial to reach a listener.
func EndpointOf(lis net.Listener) string {
	if lis.Addr().Network() == "unix" {
		return "unix:" + lis.Addr().String()
	}
	_, port, _ := net.SplitHostPort(lis.Addr().String())
	return "localhost:" + port
}
"""


def main() -> None:
    """Build the program, and put it into a folder once it is whole."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, help="where the program is put; by default where jobs look for it"
    )
    folder = parser.parse_args().folder or _default_folder()
    program = folder / "prism"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder) as scratch:
        sources = Path(scratch) / "beam"
        copy_sources(sources)
        change(sources)
        built = Path(scratch) / "prism"
        _run(["go", "build", "-o", str(built), "./go/cmd/prism"], cwd=sources)
        built.replace(program)
    print(program)


def _default_folder() -> Path:
    try:
        from hyped_beam.launch.profiles import load_profile
        from hyped_beam.launch.servers import cache_folder
    except ImportError as error:
        sys.exit(f"error: {error}: run this with the Python of hyped_beam, or name a folder")
    server = load_profile("prism").server
    assert server is not None, "the profile beside this file has one"  # noqa: S101 - for type checkers
    return cache_folder(server)


def copy_sources(folder: Path) -> None:
    """Copy what Go builds the program from, which it downloads where this machine does not have it."""
    described = json.loads(_run(["go", "mod", "download", "-json", f"{MODULE}@v{version('apache-beam')}"]))
    module = Path(described["Dir"])
    folder.mkdir()
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(module / name, folder / name)
    # without the modes of Go's cache, which is read-only
    shutil.copytree(module / "go", folder / "go", copy_function=shutil.copyfile)
    for made, _, _ in os.walk(folder):
        Path(made).chmod(0o755)


def change(folder: Path) -> None:
    """Make the changes in a copy of the sources; what is not there exactly once ends the build."""
    for file, old, new in REPLACEMENTS:
        text = (folder / file).read_text(encoding="utf-8")
        times = text.count(old)
        if times != 1:
            sys.exit(
                f"error: Prism was not built: {file} of Beam {version('apache-beam')} has these lines "
                f"{times} times, not once; {Path(__file__).name} was written for another version:\n{old}"
            )
        (folder / file).write_text(text.replace(old, new), encoding="utf-8")
    (folder / PRISM / "worker/listen.go").write_text(LISTEN, encoding="utf-8")


def _run(command: list[str], cwd: Path | None = None) -> str:
    """Run a command of Go; what it complains of is printed as it comes."""
    try:
        done = subprocess.run(  # noqa: S603 - Go's
            command,
            cwd=cwd,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "GOWORK": "off"},  # a workspace that the folder lies in is not ours
        )
    except FileNotFoundError:
        sys.exit("error: this machine has no Go to build Prism with (see go.dev)")
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: Prism was not built: `{' '.join(command)}` ended with status {error.returncode}")
    return done.stdout


if __name__ == "__main__":
    main()

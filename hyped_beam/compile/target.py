"""From what was written on the command line to a job."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from hyped_beam.dsl.job import Job
from hyped_beam.errors import CallSite, FlowError, InputError, unknown_name

DEFAULT_NAME = "job"


def load_target(target: str) -> Job:
    """The job that a target names.

    Args:
        target: `file.py[:name]` or `package.module[:name]`; a function of that name is called.

    Raises:
        FlowError: There is no such file, module or name, it raises, or it is no job.
    """
    place, name = _split(target)
    module = _load_file(Path(place)) if place.endswith(".py") else _load_module(place)
    found = _find(module, name, target)
    if callable(found) and not isinstance(found, Job):
        found = _call(found, f"{place}:{name}()")
    if not isinstance(found, Job):
        raise InputError(
            f"{place}:{name} is no job but a {type(found).__name__}",
            hint="a job is what flow.job(source=...).write(...) returns, or a function that returns one",
        )
    return found


def _split(target: str) -> tuple[str, str]:
    place, colon, name = target.rpartition(":")
    if colon and name.isidentifier():
        return place, name
    return target, DEFAULT_NAME


def _load_file(path: Path) -> ModuleType:
    """A script, imported under its stem, so that workers can import it by that name."""
    if not path.is_file():
        raise InputError(f"there is no file {path}", hint=_near_file(path))
    folder = str(path.parent.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if specification is None or specification.loader is None:
        raise InputError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module
    _guarded(lambda: specification.loader.exec_module(module), str(path))
    return module


def _near_file(path: Path) -> str | None:
    from hyped_beam.errors import nearest_name

    folder = path.parent
    names = [entry.name for entry in folder.glob("*.py")] if folder.is_dir() else []
    near = nearest_name(path.name, names)
    return f"did you mean {folder / near}?" if near else None


def _load_module(name: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    try:
        specification = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        specification = None
    if specification is None:
        raise InputError(
            f"there is no module {name!r}", hint="a target is file.py[:name] or package.module[:name]"
        )
    found: ModuleType = _guarded(lambda: importlib.import_module(name), name)
    return found


def _guarded(action: Any, place: str) -> Any:
    """What an action returns; what the user's code raises becomes one line."""
    try:
        return action()
    except FlowError:
        raise
    except KeyboardInterrupt:
        raise
    except SystemExit as error:
        raise InputError(f"{place} exits with status {error.code} when it is imported") from None
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        site = None if isinstance(error, SyntaxError) else _own_frame(frames)
        if isinstance(error, SyntaxError) and error.filename and error.lineno:
            site = CallSite(error.filename, error.lineno)
        message = str(error.msg) if isinstance(error, SyntaxError) else str(error)
        raise InputError(f"{type(error).__name__}: {message}", site=site) from error


def _own_frame(frames: traceback.StackSummary) -> CallSite | None:
    own = [
        frame
        for frame in frames
        if not frame.filename.startswith("<frozen") and "hyped_beam" not in frame.filename
    ]
    return CallSite(own[-1].filename, own[-1].lineno or 0) if own else None


def _find(module: ModuleType, name: str, target: str) -> Any:
    if hasattr(module, name):
        return getattr(module, name)
    jobs = [key for key, value in vars(module).items() if isinstance(value, Job)]
    if jobs:
        raise unknown_name("name", name, jobs, of=target)
    raise InputError(
        f"{target} has no name {name!r}, and no job at all",
        hint="a job is what flow.job(source=...).write(...) returns",
    )


def _call(function: Any, place: str) -> Any:
    return _guarded(function, place)

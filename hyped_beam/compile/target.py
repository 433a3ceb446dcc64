"""From what was written on the command line to a job or a flow."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import sysconfig
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import cloudpickle

from hyped_beam.dsl.flow import DataFlow
from hyped_beam.dsl.job import Job
from hyped_beam.errors import (
    NOT_THE_USERS,
    CallSite,
    FlowError,
    InputError,
    error_line,
    nearest_name,
    some_of,
)

DEFAULT_NAME = "job"
WHAT_IS_ONE = "a job is what flow.job(source=...).write(...) returns, or a function that returns one"

Target: TypeAlias = Job | DataFlow


def load_target(target: str, modules: Sequence[str] = (), hosts: Sequence[str] = ()) -> Target:
    """The job or flow that a target names.

    Args:
        target: `file.py[:name]`, `package.module[:name]` or `flow.json`; a function of that name is called.
        modules: The modules with the nodes of a saved flow.
        hosts: The hosts at which tables of a saved flow may lie.

    Raises:
        FlowError: There is no such file, module or name, it raises, or it is neither.
    """
    place, name = _split(target)
    if place.endswith(".json"):
        return _load_saved(Path(place), modules, hosts)
    is_file = place.endswith(".py") or "/" in place
    module = _load_file(Path(place)) if is_file else _load_module(place)
    shown = place if name == DEFAULT_NAME else f"{place}:{name}"
    found = _find(module, name or DEFAULT_NAME, place)
    if callable(found) and not isinstance(found, (Job, DataFlow)):
        found = _call(found, f"{place}:{name}()")
    return _checked(found, shown)


def _split(target: str) -> tuple[str, str]:
    place, colon, name = target.rpartition(":")
    if colon and name.isidentifier():
        return place, name
    if colon and not name:
        return place, DEFAULT_NAME
    return target, DEFAULT_NAME


def _checked(found: Any, shown: str) -> Target:
    if isinstance(found, tuple) and found and isinstance(found[0], DataFlow):  # what `build` returns
        found = found[0]
    if isinstance(found, (Job, DataFlow)):
        return found
    raise InputError(f"{shown} is no job but a {type(found).__name__}", hint=WHAT_IS_ONE)


# ---------------------------------------------------------------------------------------------------- files


def _load_saved(path: Path, modules: Sequence[str], hosts: Sequence[str]) -> DataFlow:
    if not path.exists():  # what is no file is told by `load`
        raise InputError(f"there is no file {path}", hint=_near_file(path, "*.json"))
    _find_modules_here()
    loaded: DataFlow = _guarded(lambda: DataFlow.load(path, modules=modules, hosts=hosts), str(path))
    return loaded


def _load_file(path: Path) -> ModuleType:
    """A script, imported under its stem."""
    if path.is_dir():
        raise InputError(
            f"{path} is a folder", hint=_near_file(path / "job.py", "*.py") or "name a script in it"
        )
    if not path.is_file():
        raise InputError(f"there is no file {path}", hint=_near_file(path, "*.py"))
    if path.suffix != ".py":
        raise InputError(
            f"{path} is neither a Python script nor a saved flow", hint="give a .py or .json file"
        )
    _check_importable(path)
    folder = str(path.parent.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if specification is None or specification.loader is None:
        raise InputError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module
    # Its nodes travel to workers with their code, as those of a main script do: a worker that imported it
    # would do again what it does.
    cloudpickle.register_pickle_by_value(module)
    loader = specification.loader
    _guarded(lambda: loader.exec_module(module), str(path))
    return module


def _check_importable(path: Path) -> None:
    """Refuse a script that would take the place of a module, or that cannot be imported."""
    if "." in path.stem:
        mend = path.with_name(f"{path.stem.replace('.', '_')}.py")
        raise InputError(f"a script of the name {path.name} cannot be imported", hint=f"call it {mend}")
    loaded = sys.modules.get(path.stem)
    elsewhere = (
        loaded is not None and Path(getattr(loaded, "__file__", None) or "/").resolve() != path.resolve()
    )
    if elsewhere or path.stem in sys.stdlib_module_names or _is_installed(path.stem):
        message = f"the script {path} has the name of the Python module {path.stem!r}, which it would replace"
        raise InputError(message, hint="give the script another name")


def _is_installed(name: str) -> bool:
    places = [sysconfig.get_paths()[kind] for kind in ("purelib", "platlib")]
    specification = importlib.util.find_spec(name)
    return bool(specification and specification.origin and specification.origin.startswith(tuple(places)))


def _near_file(path: Path, pattern: str) -> str | None:
    folder = path.parent
    names = sorted(entry.name for entry in folder.glob(pattern)) if folder.is_dir() else []
    near = nearest_name(path.name, names)
    if near:
        return f"did you mean {folder / near}?"
    if names:
        return f"{folder} holds {some_of(names)}"
    return (
        f"the folder {folder} does not exist" if not folder.is_dir() else f"{folder} holds no {pattern} file"
    )


# -------------------------------------------------------------------------------------------------- modules


def _load_module(name: str) -> ModuleType:
    _find_modules_here()
    try:
        found: ModuleType = _guarded(lambda: importlib.import_module(name), name)
    except InputError as error:
        cause = error.__cause__
        missing = cause.name if isinstance(cause, ModuleNotFoundError) else None
        if missing is None or not f"{name}.".startswith(f"{missing}."):
            raise
        script = Path(name if name.endswith(".py") else f"{name.replace('.', '/')}.py")
        hint = "a target is file.py[:name], package.module[:name] or flow.json"
        raise InputError(f"there is no module {name!r}", hint=_near_script(script) or hint) from None
    return found


def _find_modules_here() -> None:
    """Let modules be imported from the working directory, as `python -m` does."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))


def _near_script(path: Path) -> str | None:
    folder = path.parent
    names = [entry.name for entry in folder.glob("*.py")] if folder.is_dir() else []
    near = nearest_name(path.name, names)
    return f"did you mean {folder / near}?" if near else None


def _guarded(action: Callable[[], Any], place: str) -> Any:
    """What an action returns; what the user's code raises becomes one line that names theirs."""
    try:
        return action()
    except FlowError as error:
        error.site = error.site or _users_line(error)
        raise
    except KeyboardInterrupt:
        raise
    except SystemExit as error:
        message = f"{place} exits with status {error.code!r} when it is imported"
        hint = 'put what it does as a program under if __name__ == "__main__":'
        raise InputError(message, site=_users_line(error), hint=hint) from None
    except SyntaxError as error:
        site = CallSite(error.filename, error.lineno) if error.filename and error.lineno else None
        raise InputError(f"{type(error).__name__}: {error.msg}", site=site, hint="mend this line") from error
    except BaseException as error:
        raise InputError(
            error_line(error),
            site=_users_line(error),
            hint=_mend(error, place),
        ) from error


def _mend(error: BaseException, place: str) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"install {error.name!r}, or start where it can be imported from"
    return f"{place} raised this while it was loaded: mend it there"


def _users_line(error: BaseException) -> CallSite | None:
    """The innermost line of the user's own code; a library's where there is none."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(NOT_THE_USERS) and not frame.filename.startswith("<")
    ]
    libraries = tuple(sysconfig.get_paths()[kind] for kind in ("stdlib", "purelib", "platlib"))
    own = [frame for frame in frames if not frame.filename.startswith(libraries)]
    chosen = (own or frames)[-1:]
    return CallSite(chosen[0].filename, chosen[0].lineno or 0) if chosen else None


# ---------------------------------------------------------------------------------------------------- names


def _find(module: ModuleType, name: str, place: str) -> Any:
    if hasattr(module, name):
        return getattr(module, name)
    jobs = [key for key, value in vars(module).items() if isinstance(value, Job) and not key.startswith("_")]
    near = nearest_name(name, [*jobs, *(key for key in vars(module) if not key.startswith("_"))])
    if not jobs:
        message = f"{place} has no name {name!r}, and no job at all"
        raise InputError(message, hint=f"did you mean {place}:{near}?" if near else WHAT_IS_ONE)
    if len(jobs) == 1 or near in jobs:
        mend = f"did you mean {place}:{near if near in jobs else jobs[0]}?"
        raise InputError(f"{place} has no name {name!r}", hint=mend)
    message = f"{place} has no name {name!r} but {len(jobs)} jobs: {', '.join(jobs)}"
    raise InputError(message, hint=f"say which: {place}:{jobs[0]}")


def _call(function: Callable[[], Any], place: str) -> Any:
    return _guarded(function, place)

"""Unknown keywords, answered with the nearest right name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from hyped_beam.errors import CallSite, DefinitionTypeError, unknown_name

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def checked_keywords(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """A method that answers an unknown keyword with the nearest one that it takes."""
    signature = inspect.signature(function)
    known = [name for name in signature.parameters if name != "self"]

    @functools.wraps(function)
    def checked(*args: Parameters.args, **keywords: Parameters.kwargs) -> Result:
        for name in keywords:
            if name not in known:
                raise unknown_name("argument", name, known, of=f"{function.__name__}()")
        try:
            signature.bind(*args, **keywords)
        except TypeError as error:
            raise DefinitionTypeError(
                f"{function.__name__}() {error}",
                site=CallSite.nearest(),
                hint=f"its arguments are: {', '.join(known)}",
            ) from None
        return function(*args, **keywords)

    return checked

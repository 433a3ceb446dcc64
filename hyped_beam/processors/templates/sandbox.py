"""Jinja's sandbox, in which besides nothing costs more than it may."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import BuiltinMethodType, MethodType
from typing import Any

from jinja2 import StrictUndefined, nodes
from jinja2.exceptions import SecurityError
from jinja2.nodes import EvalContext
from jinja2.runtime import BlockReference, Context, LoopContext, Macro, Undefined, markup_join, str_join
from jinja2.sandbox import (
    ImmutableSandboxedEnvironment,
    SandboxedEscapeFormatter,
    SandboxedFormatter,
    safe_range,
)
from jinja2.utils import Cycler, Joiner, Namespace
from markupsafe import Markup, escape

from hyped_beam.processors.templates import bounds, budget, filters, formatting, generating

_INTERNAL = ("_loop_vars", "_block_vars", "caller")
"""What compiled templates give with calls, besides what was written."""

_OWN_CALLS = (Macro, LoopContext, BlockReference, Cycler, Joiner, Undefined)
_OWN_METHODS: dict[type, set[str]] = {LoopContext: {"cycle", "changed"}, Cycler: {"next", "reset"}}
_OF_DICTS = frozenset({"get", "items", "keys", "values"})
"""Methods of dicts that take as long with large ones."""

_LARGEST_OF_SPLIT = 5
"""What text is split into has no more times its characters, as values are counted."""


def _go_through(text: str) -> None:
    """Take the steps for a method of a text."""
    budget.made(len(text))
    budget.spend(1 + len(text) // 50)


class Counting:
    """What `str.format` makes is counted, for each of its placeholders."""

    factor = 1
    size = 0

    def count(self, value: Any) -> None:
        """Take the steps for a value that is put in."""
        more = self.factor * budget.size_as_text(value)
        self.size += more
        budget.spend(1)
        budget.made(more)
        budget.check_size(self.size)

    def format_field(self, value: Any, format_spec: str) -> Any:
        """The text of a value."""
        formatting.check_width(format_spec)
        if isinstance(value, (datetime.date, datetime.time)):
            formatting.check_time_format(format_spec)
        self.count(value)
        return super().format_field(value, format_spec)  # type: ignore[misc]  # of the formatter

    def convert_field(self, value: Any, conversion: Any) -> Any:
        """What is put in for a value, as with `!r`."""
        if conversion is not None:
            self.count(value)
        return super().convert_field(value, conversion)  # type: ignore[misc]  # of the formatter


class RowFormatter(Counting, SandboxedFormatter):
    """`str.format`, whose widths and values are bounded."""


class RowEscapeFormatter(Counting, SandboxedEscapeFormatter):
    """The same of a text whose values are escaped."""

    factor = 6


class RowEnvironment(ImmutableSandboxedEnvironment):
    """Attributes of a dict are its items first: a field may be called `items` or `values`."""

    # Not folded while a template is compiled, and bounded when it runs.
    intercepted_binops = frozenset({"*", "**", "%"})
    code_generator_class = generating.RowGenerator
    concat = staticmethod(budget.joined)

    def _generate(self, source: nodes.Template, *args: Any, **options: Any) -> str:
        generating.prepare(source)
        return super()._generate(source, *args, **options)

    @staticmethod
    def escaped(value: Any) -> Markup:
        """What is printed where it is escaped."""
        budget.made(6 * budget.size_as_text(value))
        return escape(value)

    @staticmethod
    def concatenated(context: Context, parts: tuple[Any, ...]) -> str:
        """`a ~ b`, where it may be escaped."""
        budget.made(sum(map(budget.size_as_text, parts)))
        return markup_join(parts) if context.eval_ctx.autoescape else str_join(parts)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """An attribute or an item."""
        kind = type(obj)
        if kind is dict:
            if attribute in obj:
                return obj[attribute]
            if attribute in _OF_DICTS:
                return getattr(obj, attribute)
        elif kind is str and attribute in bounds.SMALL_METHODS:
            return getattr(obj, attribute)
        elif kind is Namespace and attribute[0] != "_":
            try:
                return getattr(obj, attribute)
            except AttributeError:
                pass
        return super().getattr(obj, attribute)

    def _filter_test_common(
        self,
        name: str | Undefined,
        value: Any,
        args: Sequence[Any] | None,
        kwargs: Mapping[str, Any] | None,
        context: Context | None,
        eval_ctx: EvalContext | None,
        is_filter: bool,  # noqa: FBT001 - as in Jinja
    ) -> Any:
        """What a filter or a test makes that is called by its name, as by `map`."""
        functions: Mapping[Any, Any] = self.filters if is_filter else self.tests
        function: Callable[..., Any] | None = functions.get(name)
        if function is None or kwargs or hasattr(function, "jinja_pass_arg"):
            return super()._filter_test_common(name, value, args, kwargs, context, eval_ctx, is_filter)
        return function(value, *args) if args else function(value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """The result of an operator."""
        del context
        bounds.check_operator(operator, left, right)
        return self.binop_table[operator](left, right)

    def product(self, context: Context, left: Any, right: Any) -> Any:
        """`left * right`."""
        if budget.are_short_numbers(left, right):
            return left * right
        return self.call_binop(context, "*", left, right)

    def remainder(self, context: Context, left: Any, right: Any) -> Any:
        """`left % right`."""
        if budget.are_short_numbers(left, right) or formatting.is_short_percent(left, right):
            return left % right
        return self.call_binop(context, "%", left, right)

    def formatted(self, context: Context, template: str, *args: Any) -> Any:
        """What `template.format(...)` makes of plain placeholders."""
        if all(map(budget.is_small, args)):
            return template.format(*args)
        return self.call(context, self.getattr(template, "format"), *args)

    def wrap_str_format(self, value: Any) -> Any:
        """The method `format` of a text, bounded; None of all else."""
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None
        template, is_map = value.__self__, value.__name__ == "format_map"

        def formatted(*args: Any, **named: Any) -> str:
            given, by_name = ((), args[0]) if is_map else (args, named)
            if isinstance(template, Markup):
                escaping = RowEscapeFormatter(self, escape=template.escape)
                return type(template)(escaping.vformat(str(template), given, by_name))
            return RowFormatter(self).vformat(template, given, by_name)

        formatted.is_of_templates = True  # type: ignore[attr-defined]  # what `call` knows it by
        return formatted

    def method(self, context: Context, obj: Any, name: str, args: tuple[Any, ...]) -> Any:
        """What a method makes that is cheap with a short text, given constants."""
        if type(obj) is not str or name not in bounds.SMALL_METHODS:
            return self.call(context, self.getattr(obj, name), *args)
        _go_through(obj)
        made = getattr(obj, name)(*args)
        return made if _LARGEST_OF_SPLIT * len(obj) < budget.LARGE else budget.checked(made)

    def call(self, context: Any, called: Any, /, *args: Any, **named: Any) -> Any:
        """What a call gives."""
        if len(args) + len(named) > budget.FEW:
            budget.spend(len(args) + len(named))
        kind = type(called)
        if kind is Macro:
            if not (called.catch_varargs or called.catch_kwargs) or all(map(budget.is_small, args)):
                budget.spend(1)
                named.pop("_loop_vars", None)
                named.pop("_block_vars", None)
                return called(context.eval_ctx, *args, **named)
        elif kind is BuiltinMethodType:
            given = {name: value for name, value in named.items() if name not in _INTERNAL}
            if not given and self._is_quick(called, args):
                return called(*args)
        elif called is safe_range and budget.SCALARS.issuperset(map(type, args)):
            return safe_range(*args)
        elif called is Namespace and not args:
            budget.spend(1)
            return Namespace(**{name: value for name, value in named.items() if name not in _INTERNAL})
        return self._call(context, called, args, named)

    def _is_quick(self, called: BuiltinMethodType, args: tuple[Any, ...]) -> bool:
        """Whether a method costs no more than the steps that this takes."""
        of: Any = called.__self__
        if type(of) is dict:
            return called.__name__ in _OF_DICTS and all(map(budget.is_small, args))
        if type(of) is not str or not all(map(budget.is_short, args)):
            return False
        if called.__name__ == "replace":
            if len(args) != len(("old", "new")) or not args[0] or {type(arg) for arg in args} != {str}:
                return False
            if len(of) >= budget.SMALL or len(args[1]) > budget.FEW:
                budget.made(len(of) + of.count(args[0]) * len(args[1]))
            return True
        if called.__name__ not in bounds.SMALL_METHODS:
            return False
        if len(of) < budget.SMALL:
            return True
        if _LARGEST_OF_SPLIT * len(of) >= budget.LARGE:
            return False
        _go_through(of)
        return True

    def _call(self, context: Any, called: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What a call gives, of whatever is called."""
        given = {name: value for name, value in named.items() if name not in _INTERNAL}
        args = tuple(budget.counted(arg) if isinstance(arg, Iterator) else arg for arg in args)
        if isinstance(called, (BuiltinMethodType, MethodType)) and type(called.__self__) not in _OWN_METHODS:
            bound = bounds.method_bound(called.__self__, called.__name__)
            if bound is None:
                kind = type(called.__self__).__name__
                msg = f"templates do not call {called.__name__!r} of {kind!r} objects"
                raise SecurityError(msg)
            args = tuple(list(arg) if isinstance(arg, Iterator) else arg for arg in args)
            budget.go_through(called.__self__)
            bound(called.__self__, args, given)
        elif not self._is_known(called):
            msg = f"templates do not call {type(called).__name__!r} objects"
            raise SecurityError(msg)
        budget.spend(1)
        if given or not all(map(budget.is_small, args)):
            budget.made(budget.size_of(args) + budget.size_of(given))
        if isinstance(called, LoopContext) and args:
            args = (budget.turns(args[0]), *args[1:])
        return budget.checked(super().call(context, called, *args, **named))

    def _is_known(self, called: Any) -> bool:
        if isinstance(called, MethodType):
            return called.__name__ in _OWN_METHODS.get(type(called.__self__), ())
        is_global = any(called is known for known in self.globals.values())
        return is_global or isinstance(called, _OWN_CALLS) or hasattr(called, "is_of_templates")


def make_environment() -> RowEnvironment:
    """An environment with what templates may use."""
    made = RowEnvironment(undefined=StrictUndefined, autoescape=False)
    for offered, known in (
        (made.filters, bounds.FILTERS),
        (made.tests, bounds.TESTS),
        (made.globals, bounds.GLOBALS),
    ):
        for name in set(offered) - set(known):
            del offered[name]  # what is random, and what this version of Jinja has and nobody has looked at
    for name, bound in bounds.FILTERS.items():
        if name in made.filters and name not in bounds.FREE:
            made.filters[name] = filters.bounded(made.filters[name], bound, name)
    for name in bounds.GONE_THROUGH & set(made.tests):
        test: Any = made.tests[name]
        goes_through: Callable[[Any], Any] = budget.searched if name == "in" else budget.compared
        made.tests[name] = filters.bounded_test(test, goes_through)
    return made

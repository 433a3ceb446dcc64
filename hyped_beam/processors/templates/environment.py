"""The Jinja environment that templates are parsed and rendered in: sandboxed, bounded, deterministic."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from functools import lru_cache, wraps
from types import BuiltinMethodType, MethodType
from typing import TYPE_CHECKING, Any

from hyped_beam.processors.templates import bounds, budget, formatting

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

ROW = "inputs"
"""What a template calls the row."""

LEFT_OUT = {"random": "it would not give the same twice"}
"""Filters of Jinja that templates here do not have, and why."""

_INTERNAL = ("_loop_vars", "_block_vars", "caller")
"""What compiled templates give with calls, besides what was written."""


@lru_cache(maxsize=1)
def environment() -> SandboxedEnvironment:  # noqa: C901 - classes of Jinja's, which is imported when it is used
    """The environment; made when it is first asked for, for Jinja takes 0.1 s to import."""
    from jinja2 import StrictUndefined, nodes
    from jinja2.compiler import CodeGenerator, Frame, operators
    from jinja2.exceptions import SecurityError
    from jinja2.runtime import BlockReference, Context, LoopContext, Macro, Undefined, markup_join, str_join
    from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEscapeFormatter, SandboxedFormatter
    from jinja2.utils import Cycler, Joiner
    from markupsafe import Markup, escape

    class RowGenerator(CodeGenerator):
        """Has the environment make what could be large: texts that are printed or joined, and collections."""

        def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
            del finalize
            is_text = isinstance(node, nodes.Concat) or (
                isinstance(node, nodes.Filter) and node.name in bounds.TEXT_FILTERS
            )
            if is_text and not frame.eval_ctx.volatile and not frame.eval_ctx.autoescape:
                self.write("str(")
            elif frame.eval_ctx.volatile:
                self.write("(environment.escaped if context.eval_ctx.autoescape else environment.text)(")
            else:
                self.write("environment.escaped(" if frame.eval_ctx.autoescape else "environment.text(")

        def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja's name
            self.write("environment.concatenated(context, (")
            for part in node.nodes:
                self.visit(part, frame)
                self.write(", ")
            self.write("))")

        def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:  # noqa: FBT001, FBT002, N802 - as in Jinja
            if not isinstance(node.node, nodes.EnvironmentAttribute):
                super().visit_Call(node, frame, forward_caller=forward_caller)
                return
            self.write("environment.turns(")
            self.visit(node.args[0], frame)
            self.write(")")

        def _collection(self, visit: Callable[[Any, Frame], None], node: Any, frame: Frame) -> None:
            self.write("environment.checked(")
            visit(node, frame)
            self.write(")")

        def visit_Operand(self, node: nodes.Operand, frame: Frame) -> None:  # noqa: N802 - Jinja's name
            goes_through = "searched" if node.op in ("in", "notin") else "compared"
            self.write(f" {operators[node.op]} environment.{goes_through}(")
            self.visit(node.expr, frame)
            self.write(")")

        def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802 - Jinja's name
            self._collection(super().visit_List, node, frame)

        def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802 - Jinja's name
            self._collection(super().visit_Dict, node, frame)

        def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802 - Jinja's name
            if node.ctx == "load":
                self._collection(super().visit_Tuple, node, frame)
            else:
                super().visit_Tuple(node, frame)

    class Counting:
        """What `str.format` makes is counted, for each of its placeholders."""

        factor = 1
        size = 0

        def count(self, value: Any) -> None:
            more = self.factor * budget.size_as_text(value)
            self.size += more
            budget.spend(1)
            budget.made(more)
            budget.check_size(self.size)

        def format_field(self, value: Any, format_spec: str) -> Any:
            formatting.check_width(format_spec)
            if isinstance(value, (datetime.date, datetime.time)):
                formatting.check_time_format(format_spec)
            self.count(value)
            return super().format_field(value, format_spec)  # type: ignore[misc]  # of the formatter

        def convert_field(self, value: Any, conversion: Any) -> Any:
            if conversion is not None:
                self.count(value)
            return super().convert_field(value, conversion)  # type: ignore[misc]  # of the formatter

    class RowFormatter(Counting, SandboxedFormatter):
        """`str.format`, whose widths and values are bounded."""

    class RowEscapeFormatter(Counting, SandboxedEscapeFormatter):
        """The same of a text whose values are escaped."""

        factor = 6

    own_calls = (Macro, LoopContext, BlockReference, Cycler, Joiner, Undefined)
    own_methods = {LoopContext: {"cycle", "changed"}, Cycler: {"next", "reset"}}

    class RowEnvironment(ImmutableSandboxedEnvironment):
        """Attributes of a dict are its items first: a field may be called `items` or `values`."""

        # Not folded while a template is compiled, and bounded when it runs.
        intercepted_binops = frozenset({"*", "**", "+", "%"})
        code_generator_class = RowGenerator
        concat = staticmethod(budget.joined)
        text = staticmethod(budget.text)
        turns = staticmethod(budget.turns)
        checked = staticmethod(budget.checked)
        compared = staticmethod(budget.compared)
        searched = staticmethod(budget.searched)

        def _generate(self, source: nodes.Template, *args: Any, **options: Any) -> str:
            for loop in source.find_all(nodes.For):
                turns = nodes.EnvironmentAttribute("turns", lineno=loop.lineno)
                loop.iter = nodes.Call(turns, [loop.iter], [], None, None, lineno=loop.iter.lineno)
            return super()._generate(source, *args, **options)

        @staticmethod
        def escaped(value: Any) -> Markup:
            budget.made(6 * budget.size_as_text(value))
            return escape(value)

        @staticmethod
        def concatenated(context: Context, parts: tuple[Any, ...]) -> str:
            budget.made(sum(map(budget.size_as_text, parts)))
            return markup_join(parts) if context.eval_ctx.autoescape else str_join(parts)

        def getattr(self, obj: Any, attribute: str) -> Any:
            if type(obj) is dict:
                try:
                    return obj[attribute]
                except KeyError:
                    pass
            return super().getattr(obj, attribute)

        def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
            del context
            bounds.check_operator(operator, left, right)
            return self.binop_table[operator](left, right)

        def wrap_str_format(self, value: Any) -> Any:
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

        def call(self, context: Any, called: Any, /, *args: Any, **named: Any) -> Any:
            if len(args) + len(named) > budget.FEW:
                budget.spend(len(args) + len(named))
            if type(called) is Macro and all(map(budget.is_small, args)):
                budget.spend(1)
                return super().call(context, called, *args, **named)
            if (
                type(called) is BuiltinMethodType
                and called.__name__ in bounds.SMALL_METHODS
                and type(called.__self__) is str
                and budget.is_small(called.__self__)
                and all(map(budget.is_small, args))
                and not (args and called.__name__ in bounds.ALONE)
            ):
                for name in _INTERNAL:
                    named.pop(name, None)
                return called(*args, **named)
            given = {name: value for name, value in named.items() if name not in _INTERNAL}
            args = tuple(budget.counted(arg) if isinstance(arg, Iterator) else arg for arg in args)
            if (
                isinstance(called, (BuiltinMethodType, MethodType))
                and type(called.__self__) not in own_methods
            ):
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
                return called.__name__ in own_methods.get(type(called.__self__), ())
            is_global = any(called is known for known in self.globals.values())
            return is_global or isinstance(called, own_calls) or hasattr(called, "is_of_templates")

    made = RowEnvironment(undefined=StrictUndefined, autoescape=False)
    for offered, known in (
        (made.filters, bounds.FILTERS),
        (made.tests, bounds.TESTS),
        (made.globals, bounds.GLOBALS),
    ):
        for name in set(offered) - set(known):
            del offered[name]  # what is random, and what this version of Jinja has and nobody has looked at
    for name, bound in bounds.FILTERS.items():
        if name in made.filters:
            made.filters[name] = _bounded(made.filters[name], bound, name)
    for name in bounds.GONE_THROUGH & set(made.tests):
        test: Any = made.tests[name]
        goes_through: Callable[[Any], Any] = budget.searched if name == "in" else budget.compared
        made.tests[name] = _bounded_test(test, goes_through)
    return made


def _bounded(function: Callable[..., Any], bound: bounds.Bound, name: str) -> Callable[..., Any]:
    """A filter that takes its steps before it does anything."""
    before = 1 if hasattr(function, "jinja_pass_arg") else 0
    is_small = name in bounds.SMALL
    is_alone = name in bounds.ALONE
    shows = name in bounds.TEXT_FILTERS | bounds.SHOWN

    @wraps(function)
    def bounded(*args: Any, **named: Any) -> Any:
        value = args[before] if len(args) > before else None
        if is_small and budget.is_small(value):
            others = (*args[before + 1 :], *named.values())
            if not others or (not is_alone and all(map(budget.is_small, others))):
                return function(*args, **named)
        if isinstance(value, Iterator):
            value = list(budget.counted(value))
            args = (*args[:before], value, *args[before + 1 :])
        budget.spend(1)
        given = args[before + 1 :]
        for one in (value, *given, *named.values()):
            budget.go_through(one)
            if shows:
                budget.size_as_text(one)
        bound(value, given, named)
        return budget.checked(function(*args, **named))

    return bounded


def _bounded_test(function: Callable[..., Any], goes_through: Callable[[Any], Any]) -> Callable[..., Any]:
    """A test that takes the steps for what a value is compared with."""

    @wraps(function)
    def bounded(value: Any, other: Any) -> Any:
        return function(value, goes_through(other))

    return bounded

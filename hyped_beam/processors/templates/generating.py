"""The Python that templates become: it keeps to the bounds, and asks about as little as it can.

What is known while a template is compiled is not asked while it runs. Each operation on what is short is
free, for it is paid by the turn of the loop, or the call of the macro, that it is in: a turn takes one step
for each `OPERATIONS_A_STEP` operations that its body has. What is not short takes steps of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from string import Formatter
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame, operators, optimizeconst
from jinja2.idtracking import VAR_LOAD_RESOLVE

from hyped_beam.processors.templates import bounds, budget
from hyped_beam.processors.templates.environment import ROW

OPERATIONS_A_STEP = 10

_OWN = (
    "Buffer",
    "SCALARS",
    "checked",
    "compared",
    "flush",
    "held",
    "is_in",
    "joined_parts",
    "searched",
    "shown",
    "spend",
    "text",
    "turns",
)
"""Functions of `budget` that the code calls, as `row_` and the name."""

_OF_LOOPS = frozenset(
    (
        *("depth", "depth0", "first", "index", "index0", "last", "length", "nextitem"),
        *("previtem", "revindex", "revindex0"),
    )
)
_OPERATIONS = (nodes.Expr, nodes.Stmt)
_FREE = (nodes.Name, nodes.Const, nodes.TemplateData, nodes.Output)
_SHORT_WIDTHS = 100


def prepare(tree: nodes.Template) -> None:
    """Have loops take steps for their turns, and macros for their calls, as their bodies have operations."""
    found: list[Any] = list(tree.find_all((nodes.For, nodes.Macro, nodes.CallBlock)))
    costs = [sum(_operations(part) for part in node.body) // OPERATIONS_A_STEP for node in found]
    for node, cost in zip(found, costs, strict=True):
        is_recursive = not isinstance(node, nodes.For) or node.recursive
        if isinstance(node, nodes.For):
            each = nodes.Const(1 if is_recursive else 1 + cost)
            given: list[Any] = [node.iter, each]  # what a loop goes through is an expression
            node.iter = _own_call("turns", given, node.lineno)
        if is_recursive and cost:
            spent = _own_call("spend", [nodes.Const(cost)], node.lineno)
            node.body.insert(0, nodes.ExprStmt(spent, lineno=node.lineno))
        if isinstance(node, nodes.For):
            node.body.append(nodes.ExprStmt(_own_call("flush", [], node.lineno), lineno=node.lineno))


def _operations(node: nodes.Node) -> int:
    own = 0 if isinstance(node, _FREE) or not isinstance(node, _OPERATIONS) else 1
    return own + sum(map(_operations, node.iter_child_nodes()))


def _own_call(name: str, given: list[nodes.Expr], line: int) -> nodes.Call:
    called = nodes.EnvironmentAttribute(name, lineno=line)
    return nodes.Call(called, given, [], None, None, lineno=line)


_USING_VARIABLES_OF_LOOPS = (nodes.Assign, nodes.AssignBlock, nodes.CallBlock, nodes.Block, nodes.FilterBlock)
_METHODS_OF_FILTERS = {
    "capitalize": "capitalize",
    "lower": "lower",
    "replace": "replace",
    "trim": "strip",
    "upper": "upper",
}
_MAKING_TEXT = bounds.TEXT_FILTERS | {"e", "escape", "forceescape"}
_TAKING_COLLECTIONS = frozenset({"join", "sum", "tojson"})
"""Filters that look themselves at how large a collection is, and do not return it."""


class RowGenerator(CodeGenerator):
    """Writes the code.

    `(t1["a"] if type(t1 := x) is dict and "a" in t1 else environment.getattr(t1, "a"))` is its way: what is
    most often the case is done in place, all else by a function.
    """

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:  # noqa: N802 - Jinja's name
        names = ", ".join(f"{name} as row_{name}" for name in _OWN)
        self.writeline(f"from {budget.__name__} import {names}")
        self._sets_in_loops = any(True for _ in node.find_all(_USING_VARIABLES_OF_LOOPS)) or any(
            not isinstance(call.node, nodes.EnvironmentAttribute) for call in node.find_all(nodes.Call)
        )
        self._row_is_fixed = all(name.ctx == "load" for name in node.find_all(nodes.Name) if name.name == ROW)
        super().visit_Template(node, frame)

    _sets_in_loops = True
    _row_is_fixed = False

    def writeline(self, x: str, node: nodes.Node | None = None, extra: int = 0) -> None:
        """Write a line, but for variables of a loop that has none."""
        if x != "_loop_vars = {}" or self._sets_in_loops:
            super().writeline(x, node, extra)

    def enter_frame(self, frame: Frame) -> None:
        """Look the names up that a frame uses; the row is always there."""
        loads = frame.symbols.loads
        row = [target for target, load in loads.items() if load == (VAR_LOAD_RESOLVE, ROW)]
        if not row or not self._row_is_fixed:
            super().enter_frame(frame)
            return
        for target in row:
            self.writeline(f"{target} = context.parent[{ROW!r}]")
            del loads[target]
        super().enter_frame(frame)
        loads.update(dict.fromkeys(row, (VAR_LOAD_RESOLVE, ROW)))

    # ------------------------------------------------------------------------------------------ printing

    def buffer(self, frame: Frame) -> None:
        """Have what a frame prints kept."""
        frame.buffer = self.temporary_identifier()
        self.writeline(f"{frame.buffer} = row_Buffer()")

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        del finalize
        self._closing = ")"
        if frame.eval_ctx.volatile:
            self.write("(environment.escaped if context.eval_ctx.autoescape else row_text)(")
        elif frame.eval_ctx.autoescape:
            self.write("environment.escaped(")
        else:
            self._closing = self._open_text(node)

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        del node, frame, finalize
        self.write(self._closing)

    _closing = ")"
    _printed: nodes.Node | None = None
    """A sum that is looked at where it is printed."""

    def _open_text(self, node: nodes.Expr) -> str:
        """Begin to write the text of a value; return how it ends."""
        if isinstance(node, nodes.Concat):
            self.write("(")
            return ")"
        if isinstance(node, nodes.Filter) and node.name in _MAKING_TEXT:
            self.write("str(")
            return ")"
        held = self.temporary_identifier()
        if _is_number(node):
            self.write(f"(str({held}) if type({held} := ")
            is_short = f"{-budget.SHORT_NUMBER} < {held} < {budget.SHORT_NUMBER}"
            return f") is float or (type({held}) is int and {is_short}) else row_text({held}))"
        self.write(f"({held} if type({held} := ")
        if isinstance(node, nodes.Add):
            self._printed = node
            return f") is str and len({held}) < {budget.COPIED} else row_shown({held}))"
        return f") is str else row_text({held}))"

    def _text(self, node: nodes.Expr, frame: Frame) -> None:
        if isinstance(node, nodes.Const):
            self.write(repr(str(node.value)))
            return
        closing = self._open_text(node)
        self.visit(node, frame)
        self.write(closing)

    @optimizeconst
    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        if frame.eval_ctx.volatile or frame.eval_ctx.autoescape:
            self.write("environment.concatenated(context, ")
            self._each(node.nodes, lambda part: self.visit(part, frame))
            self.write(")")
        elif len(node.nodes) > budget.FEW:
            self.write("row_joined_parts(")
            self._each(node.nodes, lambda part: self._text(part, frame))
            self.write(")")
        else:
            held = self.temporary_identifier()
            self.write(f'({held} if len({held} := "".join(')
            self._each(node.nodes, lambda part: self._text(part, frame))
            self.write(f")) < {budget.COPIED} else row_checked({held}))")

    def _each(self, parts: Sequence[nodes.Expr], write: Callable[[nodes.Expr], None]) -> None:
        self.write("(")
        for part in parts:
            write(part)
            self.write(", ")
        self.write(")")

    # ----------------------------------------------------------------------------------------- operators

    def visit_Add(self, node: nodes.BinExpr, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        is_printed = self._printed is node
        addends = _addends(node)
        if len(addends) == 1:
            self.visit(addends[0], frame)
            return
        if is_printed:
            self._sum(addends, frame)
            return
        constants = {type(part.value) for part in addends if isinstance(part, nodes.Const)}
        if constants & {int, float}:  # a sum of numbers
            self._sum(addends, frame)
            return
        held = self.temporary_identifier()
        check = f"len({held} := " if str in constants else f"type({held} := "
        self.write(f"({held} if {check}")
        self._sum(addends, frame)
        is_text = "" if str in constants else f" is str and len({held})"
        self.write(f"){is_text} < {budget.COPIED} else row_checked({held}))")

    def _sum(self, addends: Sequence[nodes.Expr], frame: Frame) -> None:
        """Write a sum whose parts on the way are looked at, few by few."""
        rest = len(addends) % (budget.FEW - 1) or budget.FEW - 1
        chunks = [addends[: rest + 1]]
        chunks += [addends[at : at + budget.FEW - 1] for at in range(rest + 1, len(addends), budget.FEW - 1)]
        self.write("row_checked(" * (len(chunks) - 1) + "(")
        for number, chunk in enumerate(chunks):
            for place, part in enumerate(chunk):
                if number or place:
                    self.write(" + ")
                self.visit(part, frame)
            self.write(")")

    @optimizeconst
    def visit_Mul(self, node: nodes.BinExpr, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        self._product("*", "product", node, frame)

    @optimizeconst
    def visit_Mod(self, node: nodes.BinExpr, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        self._product("%", "remainder", node, frame)

    def _product(self, operator: str, function: str, node: nodes.BinExpr, frame: Frame) -> None:
        right = node.right
        if isinstance(right, nodes.Const) and type(right.value) in (int, float) and _is_short(right):
            held = self.temporary_identifier()
            self.write(f"({held} {operator} {right.value!r} if type({held} := ")
            self.visit(node.left, frame)
            self.write(f") is float or (type({held}) is int and {-budget.SHORT_NUMBER} < {held} < ")
            self.write(
                f"{budget.SHORT_NUMBER}) else environment.{function}(context, {held}, {right.value!r}))"
            )
            return
        self.write(f"environment.{function}(context, ")
        self.visit(node.left, frame)
        self.write(", ")
        if isinstance(right, nodes.Tuple):  # is looked at with what is made of it
            self._each(right.items, lambda part: self.visit(part, frame))
        else:
            self.visit(right, frame)
        self.write(")")

    @optimizeconst
    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        first = node.ops[0]
        if len(node.ops) == 1 and first.op in ("in", "notin") and not _is_short(first.expr):
            self.write("(" if first.op == "in" else "(not ")
            self._call_of("row_is_in", [node.expr, first.expr], frame)
            self.write(")")
            return
        self.write("(")
        self.visit(node.expr, frame)
        is_cheap = len(node.ops) == 1 and _is_short(node.expr)
        for operand in node.ops:
            self.write(f" {operators[operand.op]} ")
            if _is_short(operand.expr) or is_cheap:
                self.visit(operand.expr, frame)
                continue
            is_search = operand.op in ("in", "notin")
            held, kind = self.temporary_identifier(), self.temporary_identifier()
            self.write(f"({held} if ({kind} := type({held} := ")
            self.visit(operand.expr, frame)
            is_text = (
                f"{kind} is str and len({held}) < {budget.CHARACTERS_A_STEP if is_search else budget.COPIED}"
            )
            function = "row_searched" if is_search else "row_compared"
            self.write(f")) in row_SCALARS or {is_text} else {function}({held}))")
        self.write(")")

    # ------------------------------------------------------------------------------- attributes

    @optimizeconst
    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        held = self.temporary_identifier()
        is_of_loop = isinstance(node.node, nodes.Name) and node.node.name == "loop" and node.attr in _OF_LOOPS
        self.write(f"({held}.{node.attr}" if is_of_loop else f"({held}[{node.attr!r}]")
        self.write(f" if type({held} := ")
        self.visit(node.node, frame)
        self.write(") is LoopContext" if is_of_loop else f") is dict and {node.attr!r} in {held}")
        self.write(f" else environment.getattr({held}, {node.attr!r}))")

    # --------------------------------------------------------------------------------------------- calls

    @optimizeconst
    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:  # noqa: FBT001, FBT002, N802 - as in Jinja
        called = node.node
        if isinstance(called, nodes.EnvironmentAttribute) and called.name == "flush":
            buffer = frame.buffer
            full = f"len({buffer}) < {budget.MOST_BUFFERED} or row_flush({buffer})"
            self.write("None" if buffer is None else full)
        elif isinstance(called, nodes.EnvironmentAttribute):
            self._call_of(f"row_{called.name}", node.args, frame)
        elif not isinstance(called, nodes.Getattr) or forward_caller or node.dyn_args or node.kwargs:
            super().visit_Call(node, frame, forward_caller=forward_caller)
        elif _is_short_format(called, node.args):
            self._call_of("environment.formatted", [nodes.ContextReference(), called.node, *node.args], frame)
        elif node.dyn_kwargs is None and _is_cheap_method(called, node.args):
            held = self.temporary_identifier()
            given = ", ".join(repr(part.value) for part in node.args if isinstance(part, nodes.Const))
            self.write(f"({held}.{called.attr}({given}) if type({held} := ")
            self.visit(called.node, frame)
            is_of_text = f"is str and len({held}) < {budget.SMALL}"
            self.write(f") {'is LoopContext' if _is_cycle(called) else is_of_text} else ")
            self.write(f"environment.method(context, {held}, {called.attr!r}, ({given}{',' * bool(given)})))")
        else:
            super().visit_Call(node, frame, forward_caller=forward_caller)

    def _call_of(self, function: str, given: Sequence[nodes.Expr], frame: Frame) -> None:
        self.write(f"{function}(")
        for part in given:
            self.visit(part, frame)
            self.write(", ")
        self.write(")")

    # --------------------------------------------------------------------------------------- collections

    @optimizeconst
    def visit_Filter(self, node: nodes.Filter, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        is_collection = isinstance(node.node, (nodes.List, nodes.Dict)) and len(node.node.items) <= budget.FEW
        if is_collection and node.name in _TAKING_COLLECTIONS:
            self._passed = node.node
        is_plain = not (frame.eval_ctx.volatile or frame.eval_ctx.autoescape)
        if node.node is None or not is_plain or not _is_cheap_filter(node):
            super().visit_Filter(node, frame)
            return
        held = self.temporary_identifier()
        given = ", ".join(repr(part.value) for part in node.args if isinstance(part, nodes.Const))
        self.write(f"({held}.{_METHODS_OF_FILTERS[node.name]}({given}) if type({held} := ")
        self.visit(node.node, frame)
        self.write(f") is str and len({held}) < {budget.SMALL} else ")
        filtered = object.__new__(nodes.InternalName)  # as the parser makes such
        nodes.Node.__init__(filtered, held, lineno=node.lineno)
        super().visit_Filter(
            nodes.Filter(filtered, node.name, node.args, node.kwargs, None, None, lineno=node.lineno), frame
        )
        self.write(")")

    _passed: nodes.Node | None = None
    """A collection that is looked at with what is made of it."""

    def _collection(self, visit: Callable[[Any, Frame], None], node: Any, frame: Frame) -> None:
        parts = list(node.iter_child_nodes())
        if self._passed is node or (len(parts) <= budget.FEW and all(map(_is_short_or_pair, parts))):
            self._passed = None
            visit(node, frame)
            return
        self.write("row_held(")
        visit(node, frame)
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


def _addends(node: nodes.Expr) -> list[nodes.Expr]:
    """The parts of a sum, first to last; texts at its beginning are one."""
    parts: list[nodes.Expr] = []
    while isinstance(node, nodes.Add):
        parts.append(node.right)
        node = node.left
    parts.append(node)
    parts.reverse()
    while len(parts) > 1 and _is_text(parts[0]) and _is_text(parts[1]):
        parts[:2] = [nodes.Const(parts[0].value + parts[1].value, lineno=parts[0].lineno)]  # type: ignore[attr-defined]  # both are constants
    return parts


def _is_number(node: nodes.Expr) -> bool:
    """Whether something is a number, most likely."""
    if isinstance(node, nodes.Getattr):
        return isinstance(node.node, nodes.Name) and node.node.name == "loop"
    if isinstance(node, (nodes.Sub, nodes.Div, nodes.FloorDiv)):
        return True
    return isinstance(node, (nodes.Add, nodes.Mul, nodes.Mod)) and any(
        isinstance(side, nodes.Const) and type(side.value) in (int, float) for side in (node.left, node.right)
    )


def _is_text(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Const) and isinstance(node.value, str)


def _is_short(node: nodes.Node) -> bool:
    """Whether it is known, before it runs, that comparing something with it costs next to nothing."""
    if isinstance(node, nodes.Const):
        return budget.is_short(node.value)
    if isinstance(node, (nodes.List, nodes.Tuple)):
        return len(node.items) <= budget.FEW and all(map(_is_short, node.items))
    return False


def _is_short_or_pair(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Pair):
        return _is_short(node.key) and _is_short(node.value)
    return _is_short(node)


def _is_cycle(called: nodes.Getattr) -> bool:
    return called.attr == "cycle" and isinstance(called.node, nodes.Name) and called.node.name == "loop"


def _is_cheap_method(called: nodes.Getattr, given: Sequence[nodes.Expr]) -> bool:
    """Whether a method of a short text is cheap, given this."""
    if not all(isinstance(part, nodes.Const) and budget.is_short(part.value) for part in given):
        return False
    if called.attr == "replace":
        return len(given) == len(("old", "new")) and bounds.is_cheap_replace(*(part.value for part in given))  # type: ignore[attr-defined]  # they are constants
    return called.attr in bounds.SMALL_METHODS or (_is_cycle(called) and len(given) > 0)


def _is_cheap_filter(node: nodes.Filter) -> bool:
    """Whether a filter is a method of a short text."""
    if node.name not in _METHODS_OF_FILTERS or node.kwargs or node.dyn_args or node.dyn_kwargs:
        return False
    if node.name != "replace":
        return not node.args
    are_constant = all(isinstance(part, nodes.Const) and budget.is_short(part.value) for part in node.args)
    return (
        len(node.args) == len(("old", "new"))
        and are_constant
        and bounds.is_cheap_replace(*(part.value for part in node.args))  # type: ignore[attr-defined]  # they are constants
    )


def _is_short_format(called: nodes.Getattr, given: Sequence[nodes.Expr]) -> bool:
    """Whether it is `"...".format(...)` of a few values, as `{}`, `{0}` or `{:>10}`."""
    text = called.node
    if called.attr != "format" or not isinstance(text, nodes.Const) or not isinstance(text.value, str):
        return False
    try:
        fields = [field for field in Formatter().parse(text.value) if field[1] is not None]
    except ValueError:
        return False
    widths = 0
    for _, name, specification, conversion in fields:
        if conversion or not (name == "" or str(name).isdecimal()) or "{" in str(specification):
            return False
        widths += budget.widths_in(str(specification))
    is_short = len(text.value) < budget.SMALL and len(fields) <= budget.FEW and widths < _SHORT_WIDTHS
    return is_short and len(given) <= budget.FEW

"""Text from templates in the language of Jinja."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import register
from hyped_beam.nodes.runtime import RowError
from hyped_beam.processors.templates import fields, kernels
from hyped_beam.processors.templates.budget import (
    CHARACTERS_A_STEP,
    FEW,
    LARGE,
    MOST_CHARACTERS,
    MOST_STEPS,
    PIECES,
    Budget,
    check_size,
    joined_many,
    size_of,
    use,
)
from hyped_beam.processors.templates.environment import ROW, environment
from hyped_beam.types.features import Feature, value
from hyped_beam.types.patterns import StringColumn, StructColumn

if TYPE_CHECKING:
    import jinja2


class Rendered(NamedTuple):
    """The output of a template.

    Attributes:
        rendered: The text of each row.
    """

    rendered: StringColumn


class RenderError(ValueError):
    """A template that raised on a row."""


@register
class Jinja2(Processor):
    """A text for each row, from a Jinja template in which the row is called `inputs`.

    `features` is a struct; in the template its fields are `inputs.name` or `inputs["name"]`, also where
    a field is called as a method of dicts is. Values are Python values: a null field is `None` (and prints
    so), a label is its number. A row whose struct is null gives null.

    Templates run in a sandbox: they reach the values of the row and nothing else, load no other
    templates, change nothing, and give the same each time and on each machine (no `random`; what would take
    a time in the zone of the machine, as `strftime("%s")` does, is an error). Names and fields that do not
    exist are errors. What the template may cost for one row is bounded (`max_steps`, `max_characters`), so
    that a stranger's neither fills the memory nor runs for ever; a `range` has at most 100,000 numbers.
    As in Jinja, nothing is escaped for HTML unless asked, and one newline at the template's end is dropped.

    A template of text, fields and the filters `lower`, `upper`, `capitalize`, `trim`, `replace`, `length`,
    `string` and `default` runs as Arrow kernels, some ten to hundred times faster than any other.

    Attributes:
        template: The template.
        max_steps: How many steps a row may take: turns of loops and calls, one more for each ten operations
            in their bodies, and 100 characters or items each that a filter, a call or an operator goes
            through.
        max_characters: How many characters the text of a row may have, and each value on the way to it; at
            least 100.

    Raises:
        DefinitionError: The template does not parse, does what it may not, or uses a field that
            `features` does not have.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.processors.templates.jinja2 import Jinja2
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"text": ["a", "b"], "n": [1, 2]})
        >>> source = flow_of(table.schema)
        >>> prompt = Jinja2(template="{{ inputs.n }}. {{ inputs.text|upper }}").call(features=source)
        >>> evaluate(prompt.rendered, table).to_pylist()
        ['1. A', '2. B']
    """

    template: str
    max_steps: int = Field(default=MOST_STEPS, ge=1)
    max_characters: int = Field(default=MOST_CHARACTERS, ge=CHARACTERS_A_STEP)

    @field_validator("template")
    @classmethod
    def _is_template(cls, given: str) -> str:
        _compiled(given)
        return given

    def output(self, features: Feature) -> Feature:
        """One text per row, if the row has the fields that the template uses."""
        fields.check(_compiled(self.template).uses, features)
        return {"rendered": value("string")}

    def setup(self) -> None:
        """Compile the template."""
        self._compiled = _compiled(self.template)
        budget = Budget(self.max_steps, self.max_characters, len(self.template))
        self._renderer = Renderer(self._compiled.code, budget, loops=self._compiled.loops)

    def process(self, features: StructColumn) -> Rendered:
        """Render all rows."""
        if not features.null_count:
            return Rendered(self._render(features, range(len(features))))
        valid = features.is_valid()
        numbers = [number for number, is_valid in enumerate(valid.to_pylist()) if is_valid]
        texts = self._render(features.filter(valid), numbers)
        return Rendered(pc.replace_with_mask(pa.nulls(len(features), texts.type), valid, texts))

    def _render(self, rows: pa.StructArray, numbers: Iterable[int]) -> pa.Array:
        if isinstance(rows, pa.ExtensionArray):
            rows = rows.storage
        pieces = self._compiled.pieces
        if pieces is not None:
            try:
                return kernels.render(pieces, rows, self.max_characters)
            except kernels.NoKernelError:
                pass
        return render_rows(self._renderer, rows, numbers, self._compiled.uses.columns)


@dataclass(frozen=True)
class _Compiled:
    uses: fields.Uses
    pieces: list[kernels.Piece] | None
    code: jinja2.Template
    loops: bool


@lru_cache(maxsize=256)
def _compiled(template: str) -> _Compiled:
    from jinja2 import nodes

    use(Budget())  # constants are computed now
    tree = fields.parse(template)
    loops = any(True for _ in tree.find_all((nodes.For, nodes.Macro)))
    return _Compiled(
        fields.uses_of(tree), kernels.pieces_of(tree), environment().from_string(template), loops
    )


def render_rows(
    renderer: Renderer, rows: pa.StructArray, numbers: Iterable[int], columns: set[str] | None
) -> pa.Array:
    """Render rows one by one.

    Args:
        renderer: What renders one.
        rows: The rows, none of which is null.
        numbers: What number each has in the batch.
        columns: The fields that are needed; None for all.

    Raises:
        RowError: The template raised on a row.
    """
    names = rows.type.names
    if columns is not None and columns <= set(names):  # else it calls a method of the row
        names = [name for name in names if name in columns]
    values = [pc.struct_field(rows, name).to_pylist() for name in names]
    texts = []
    renderer.begin(sum(most_in(rows.field(name)) for name in names))
    for number, row in zip(numbers, zip(*values, strict=True) if names else [()] * len(rows), strict=True):
        try:
            texts.append(renderer(dict(zip(names, row, strict=True))))
        except Exception as error:
            raise RowError(number) from error
    return pa.array(texts, pa.string())


def most_in(column: pa.Array) -> int:
    """What each row of a column has no more characters and items than."""
    kind = column.type
    if isinstance(column, pa.ExtensionArray):
        return most_in(column.storage)
    if pa.types.is_struct(kind):
        return sum(most_in(column.field(index)) for index in range(kind.num_fields))
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * most_in(column.values)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        longest = pc.max(pc.list_value_length(column)).as_py() or 0
        return int(longest) * most_in(column.values)
    if any(check(kind) for check in _WITH_LENGTH):
        return _OF_A_VALUE + int(pc.max(pc.binary_length(column)).as_py() or 0)
    return _OF_A_VALUE


_OF_A_VALUE = 24
_WITH_LENGTH = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)


class Renderer:
    """Renders one row after the other in one context.

    `Template.render` makes a new context each time, which takes longer than most templates.

    Args:
        template: The compiled template.
        budget: What it may cost.
        loops: Whether it does something several times.
    """

    def __init__(self, template: jinja2.Template, budget: Budget, *, loops: bool) -> None:
        self.template = template
        self._budget = budget
        self._loops = loops
        self._few = max(FEW, min(budget.characters // LARGE, PIECES - 1))
        self._are_large = False
        self._weight = 1
        self._run: Callable[[Any], Iterator[str]] = template.root_render_func
        self._renew()

    def _renew(self) -> None:
        self._context = self.template.new_context({ROW: None})
        self._names: dict[str, Any] = self._context.parent

    def begin(self, most: int) -> None:
        """Begin rows in this thread.

        Args:
            most: What none of them has more characters and items than.
        """
        use(self._budget)
        self._budget.renew()
        self._weight = self._budget.weight
        self._are_large = most >= LARGE

    def __call__(self, row: Mapping[str, Any]) -> str:
        """The text of a row.

        Raises:
            RenderError: The template raised.
        """
        self._names[ROW] = row
        budget = self._budget
        budget.left = budget.steps
        if self._are_large:
            budget.renew(size_of(row))
        else:
            budget.weight = self._weight
        try:
            pieces = self._run(self._context)
            kept = [*islice(pieces, PIECES)] if self._loops else [*pieces]
            if len(kept) * budget.weight <= self._few:
                text = "".join(kept)
                if len(text) > budget.characters:
                    check_size(len(text))
            else:
                text = joined_many(kept, pieces)
        except Exception as error:
            self._renew()
            raise RenderError(f"{_message(error)}{self._place(error)}") from error
        if self._context.vars:  # what this row has set must not be seen by the next
            self._context.vars.clear()
            self._context.exported_vars.clear()
        return text

    def _place(self, error: BaseException) -> str:
        lines = [
            self.template.get_corresponding_lineno(frame.lineno)
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename == "<template>" and frame.lineno is not None
        ]
        return f" (line {lines[0]} of the template)" if lines else ""


def _message(error: Exception) -> str:
    kind = type(error).__name__
    if kind == "UndefinedError":
        return str(error).replace("'dict object'", "the row or a struct in it")
    return f"{kind}: {error}"

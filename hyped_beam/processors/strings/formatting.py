"""Texts put together, repeated and filled up."""

from __future__ import annotations

import itertools
import string
from typing import Any, ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import field_validator

from hyped_beam.errors import DefinitionError, DefinitionTypeError, unknown_name
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method, operator, register
from hyped_beam.processors.strings.buffers import RowBytes
from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.patterns import AnyColumn, IntegerColumn, StringColumn


@operator("+")
class Concatenate(Processor):
    """One text after the other; null where either is null."""

    accepts_scalars: ClassVar[bool] = True
    promote: ClassVar[bool] = True

    def process(self, left: StringColumn, right: StringColumn) -> StringColumn:
        return pc.binary_join_element_wise(left, right, pa.scalar("", left.type))


@register
class Format(Processor):
    """Text with fields in it, filled with strings and integers; null where one of them is null.

    Attributes:
        template: The text; `{name}` is the input of that name, `{}` and `{0}` are the inputs "0", "1", ...,
            and `{{` and `}}` are braces.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"name": ["Ann"], "age": [7]})
        >>> src = flow_of(table.schema)
        >>> shown = Format(template="{name} is {age}").call(name=src.name, age=src.age)
        >>> evaluate(shown, table).to_pylist()
        ['Ann is 7']
    """

    accepts_scalars: ClassVar[bool] = True
    template: str

    @field_validator("template")
    @classmethod
    def _check_template(cls, template: str) -> str:
        parse_template(template)
        return template

    def output(self, **fields: Feature) -> Feature:
        wanted = [name for _, name in parse_template(self.template) if name is not None]
        for name in wanted:
            if name not in fields:
                raise unknown_name("value", name, fields, of=f"the template {self.template!r:.80}")
        for name, feature in fields.items():
            if name not in wanted:
                raise unknown_name("field", name, wanted, of=f"the template {self.template!r:.80}")
            if features.family(feature) not in (Family.STRING, Family.INTEGER, Family.NULL):
                raise DefinitionTypeError(
                    f"format() takes strings and integers, got {features.shortened(feature, 80)} "
                    f"for {name!r}",
                    hint='write .cast("string"), or .round(n).cast("string")',
                )
        is_large = any(getattr(feature, "dtype", None) == "large_string" for feature in fields.values())
        return features.value("large_string" if is_large else "string")

    def process(self, **fields: AnyColumn) -> pa.Array:
        parts: list[Any] = []
        for text, name in parse_template(self.template):
            if text:
                parts.append(pa.scalar(text, self.output_type))
            if name is not None:
                parts.append(pc.cast(fields[name], self.output_type))
        return pc.binary_join_element_wise(*parts, pa.scalar("", self.output_type))


def parse_template(template: str) -> list[tuple[str, str | None]]:
    """The pieces of a template: text, and the name of the field after it (None at the end).

    Raises:
        DefinitionError: It is no template, or it says more about a field than its name.
    """
    pieces: list[tuple[str, str | None]] = []
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise DefinitionError(
            f"{template!r:.80} is no template: {error}",
            hint="write {} or {name} for a value, {{ and }} for braces",
        ) from None
    unnamed = itertools.count()
    for text, field, spec, conversion in parsed:
        if spec or conversion or (field and not (field.isdecimal() or field.isidentifier())):
            raise DefinitionError(
                f"{template!r:.80} says more about a field than its name",
                hint="give format() the ref as it shall appear: src.a.b, .cast(...), .pad(8), .round(2)",
            )
        pieces.append((text, str(next(unnamed)) if field == "" else field))
    written = [field for _, field, _, _ in parsed if field is not None]
    if "" in written and any(field.isdecimal() for field in written):
        raise DefinitionError(f"{template!r:.80} has both {{}} and numbered fields", hint="use one of them")
    if all(name is None for _, name in pieces):
        raise DefinitionError(f"{template!r:.80} has no field", hint="write {} or {name}")
    return pieces


@method("repeat")
class Repeat(Processor):
    """Each text several times in a row, as `text * count`; none at all for negative counts.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"text": ["ab", None]})
        >>> evaluate(flow_of(table.schema).text.repeat(2), table).to_pylist()
        ['abab', None]
    """

    accepts_scalars: ClassVar[bool] = True

    def process(self, text: StringColumn, count: IntegerColumn) -> StringColumn:
        times = pc.max_element_wise(count, pa.scalar(0, count.type), skip_nulls=False)
        return pc.binary_repeat(text, times.cast(pa.int64()))


@method("pad")
class Pad(Processor):
    """Each text filled up to a width in characters; longer ones stay as they are.

    Attributes:
        width: The least number of characters.
        side: Where to fill: "left" (as `str.rjust`), "right" (`str.ljust`) or "both" (`str.center`).
        fill: The character to fill with.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"text": ["7", None]})
        >>> evaluate(flow_of(table.schema).text.pad(3, fill="0"), table).to_pylist()
        ['007', None]
    """

    width: int
    side: Literal["left", "right", "both"] = "left"
    fill: str = " "

    @field_validator("fill")
    @classmethod
    def _check_fill(cls, fill: str) -> str:
        if len(fill) != 1:
            msg = "should be one character"
            raise ValueError(msg)
        return fill

    def process(self, text: StringColumn) -> StringColumn:
        width = max(self.width, 0)
        is_ascii = self.fill.isascii() and RowBytes.of(text).is_ascii
        if self.side == "left":
            return (pc.ascii_lpad if is_ascii else pc.utf8_lpad)(text, width, self.fill)
        if self.side == "right":
            return (pc.ascii_rpad if is_ascii else pc.utf8_rpad)(text, width, self.fill)
        # `str.center` puts the odd one out to the left where the width is odd.
        kernel = pc.ascii_center if is_ascii else pc.utf8_center
        return kernel(text, width, self.fill, lean_left_on_odd_padding=width % 2 == 0)

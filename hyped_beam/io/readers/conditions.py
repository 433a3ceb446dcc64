"""Conditions on the columns of a source, by which a scan leaves out what no row of it can meet."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
from typing_extensions import Self

from hyped_beam.types.arrays import storage_type

STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
# Statistics say nothing of NaN, and Arrow concludes from them as if there were none. From a comparison that
# NaN does not meet it may conclude; `!=`, `not` and all other functions may be met by a NaN.
MET_BY_NAN = re.compile(r"!=|\b(?!is_in\b)\w+\(")


@dataclass(frozen=True)
class Condition:
    """A condition that Arrow can compute on the columns of a source. It travels by pickle.

    Attributes:
        expression: A `pyarrow.compute.Expression`.
        schema: Names and types of all columns of the source, extensions as what they are stored as.
    """

    expression: Any
    schema: pa.Schema

    @classmethod
    def bound(cls, expression: Any, schema: pa.Schema) -> Self | None:
        """A condition on columns, or None where Arrow cannot compute it, or there is none."""
        if expression is None:
            return None
        import pyarrow.dataset as ds

        plain = pa.schema([(field.name, storage_type(field.type)) for field in schema])
        try:
            list(ds.dataset(plain.empty_table()).get_fragments(expression))
        except pa.ArrowException:
            return None
        return cls(expression, plain)

    def allows(self, guarantee: Any) -> bool:
        """Whether rows of which something is known may meet it.

        Args:
            guarantee: An expression that is true of all of these rows, such as `field("group") == "spam"`.
        """
        import pyarrow.dataset as ds

        format_ = ds.ParquetFileFormat()  # no file is opened for this
        rows = format_.make_fragment(pa.py_buffer(b""), partition_expression=guarantee)
        fragments = ds.FileSystemDataset([rows], self.schema, format_).get_fragments(self.expression)
        return any(True for _ in fragments)

    def fits_statistics(self, stored: pa.Schema) -> bool:
        """Whether Arrow may conclude from the statistics of a file, given the types in it."""
        for field in stored:
            if field.name not in self._text:
                continue
            index = self.schema.get_field_index(field.name)
            if index < 0 or not self.schema.field(index).type.equals(storage_type(field.type)):
                return False  # the values that are compared are not those of the statistics
            if _holds_floats(field.type) and MET_BY_NAN.search(STRING.sub('""', self._text)):
                return False
        return True

    @cached_property
    def _text(self) -> str:
        """The expression as text, which names its columns: Arrow has no other way to ask for them."""
        return str(self.expression)


def _holds_floats(arrow_type: pa.DataType) -> bool:
    arrow_type = storage_type(arrow_type)
    fields = (arrow_type.field(index) for index in range(arrow_type.num_fields))
    return pa.types.is_floating(arrow_type) or any(_holds_floats(field.type) for field in fields)

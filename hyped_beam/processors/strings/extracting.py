"""Parts of a text that a regular expression names."""

from __future__ import annotations

import pyarrow as pa
from pydantic import field_validator

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.processors.strings.regex.expression import expression
from hyped_beam.processors.strings.regular_expressions import RegularExpression, group_names
from hyped_beam.types.features import Feature
from hyped_beam.types.patterns import StringColumn


@method("extract")
class Extract(Processor):
    """The named groups of the first match of a regular expression, as a struct.

    Where it does not match, the struct is null, and so are its fields. A group that took no part in a match
    is null, as in `re`.

    Attributes:
        pattern: A regular expression whose groups all have names: `(?P<year>[0-9]{4})`.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"text": ["Subject: Hi", "none"]})
        >>> found = flow_of(table.schema).text.extract("^Subject: (?P<subject>.*)$")
        >>> evaluate(found.subject, table).to_pylist()
        ['Hi', None]
    """

    pattern: RegularExpression

    @field_validator("pattern")
    @classmethod
    def _check_groups(cls, pattern: str) -> str:
        group_names(pattern)
        return pattern

    def output(self, text: Feature) -> Feature:
        return dict.fromkeys(group_names(self.pattern), text)

    def process(self, text: StringColumn) -> pa.Array:
        return expression(self.pattern).extract(text, group_names(self.pattern))

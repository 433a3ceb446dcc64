"""Parts of a text replaced by others."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import model_validator
from typing_extensions import Self

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.processors.strings.regex.expression import expression
from hyped_beam.processors.strings.regular_expressions import RegularExpression, template
from hyped_beam.types.patterns import StringColumn


@method("replace")
class Replace(Processor):
    """Each text with the occurrences of one text replaced by another, as `str.replace`.

    Attributes:
        old: The text to replace, literally; the empty one stands before and after every character.
        new: What to put there.
        count: How many to replace, from the left; all if negative.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"text": ["a.b.c", None]})
        >>> evaluate(flow_of(table.schema).text.replace(".", "-", 1), table).to_pylist()
        ['a-b.c', None]
    """

    old: str
    new: str
    count: int = -1

    def process(self, text: StringColumn) -> StringColumn:
        if not self.old:
            return self._insert(text)
        return pc.replace_substring(text, self.old, self.new, max_replacements=max(self.count, -1))

    def _insert(self, text: pa.Array) -> pa.Array:
        inserted = self.new.replace("\\", "\\\\")
        if self.count < 0:
            return pc.replace_substring_regex(text, "", inserted)
        head = pc.utf8_slice_codeunits(text, 0, self.count)
        rest = pc.utf8_slice_codeunits(text, self.count)
        is_short = pc.less(pc.utf8_length(text), self.count)
        return pc.binary_join_element_wise(
            pc.replace_substring_regex(head, "(?s)(.)", inserted + "\\1"),
            pc.if_else(is_short, pa.scalar(self.new, text.type), rest),
            pa.scalar("", text.type),
        )


@method("replace_regex")
class ReplaceRegex(Processor):
    r"""Each text with what a regular expression matches replaced.

    Attributes:
        pattern: A regular expression.
        replacement: What to put there, as in `re.sub`: `\1` and `\g<name>` are groups, `\g<0>` the match.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"text": ["call 555-1234", None]})
        >>> evaluate(flow_of(table.schema).text.replace_regex(r"\d", "#"), table).to_pylist()
        ['call ###-####', None]
    """

    pattern: RegularExpression
    replacement: str

    @model_validator(mode="after")
    def _check_replacement(self) -> Self:
        template(self.pattern, self.replacement)
        return self

    def process(self, text: StringColumn) -> StringColumn:
        return expression(self.pattern).replace(text, template(self.pattern, self.replacement))

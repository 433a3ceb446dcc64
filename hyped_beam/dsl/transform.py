"""The flow as a `beam.PTransform`, for people who have a pipeline."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import apache_beam as beam
import cloudpickle
import pyarrow as pa
from apache_beam.typehints import row_type
from apache_beam.typehints.schemas import schema_from_element_type

from hyped_beam.dsl.batches import unknown_column
from hyped_beam.dsl.outputs import ROWS, refuse_scans
from hyped_beam.errors import CallSite, DefinitionError
from hyped_beam.lowering.coders import register_coders
from hyped_beam.lowering.transform import OnRecordBatches, OnRows
from hyped_beam.plan.planner import Plan
from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature


class FlowTransform(beam.PTransform):
    """A flow on the elements of a PCollection: `pyarrow.RecordBatch`es, or Beam rows.

    Windows and timestamps are kept: of each batch as a whole, or of each row.

    Args:
        plan: The plan of the flow.

    Raises:
        DefinitionError: The flow has aggregates, or the rows lack a column that it reads.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        if plan.has_aggregates:
            raise DefinitionError(
                "as_transform() is for rows, this flow has aggregates",
                site=CallSite.nearest(),
                hint="build it with collect= alone, and aggregate with Beam's own combines",
            )
        refuse_scans(plan, "as_transform()")
        register_coders()
        self.site = CallSite.nearest()
        self.plan = plan
        self.program = cloudpickle.dumps(plan.scan)

    def expand(self, pcoll: beam.PCollection) -> beam.PCollection:
        """The rows that the flow makes of the elements."""
        columns = row_columns(pcoll.element_type)
        reads = self.plan.graph.source.feature
        schema = pa.schema({name: features.to_arrow(feature) for name, feature in reads.items()})
        if columns is None:
            stage = OnRecordBatches(self.program, ROWS, schema)
            return pcoll | beam.ParDo(stage).with_output_types(pa.RecordBatch)
        for name in reads:
            if name not in columns:
                raise unknown_column(name, columns, reads, self.site)
        (output,) = self.plan.scan.outputs
        on_rows = OnRows(self.program, ROWS, schema)
        return pcoll | beam.ParDo(on_rows).with_output_types(_row_type(features.as_features(output.schema)))


def row_columns(element_type: Any) -> list[str] | None:
    """The names of the fields of a type of Beam rows; None where it is no type of rows."""
    if element_type is pa.RecordBatch:
        return None
    try:
        return [field.name for field in schema_from_element_type(element_type).fields]
    except TypeError:
        return None


def _row_type(columns: Mapping[str, Feature]) -> Any:
    return row_type.RowTypeConstraint.from_fields(
        [
            (name, Optional[_python_type(feature)])  # noqa: UP045 - Beam reads no `X | None`
            for name, feature in columns.items()
        ]
    )


_PYTHON_TYPES: dict[Family, Any] = {
    Family.BOOLEAN: bool,
    Family.INTEGER: int,
    Family.FLOAT: float,
    Family.STRING: str,
    Family.BINARY: bytes,
    Family.DECIMAL: decimal.Decimal,
    Family.DATE: datetime.date,
    Family.TIMESTAMP: datetime.datetime,
    Family.TIME: datetime.time,
    Family.DURATION: datetime.timedelta,
}


def _python_type(feature: Feature) -> Any:
    family = features.family(feature)
    if family is Family.LIST:
        return Sequence[_python_type(features.element(feature))]  # type: ignore[misc]  # made at run time
    return _PYTHON_TYPES.get(family, Any)

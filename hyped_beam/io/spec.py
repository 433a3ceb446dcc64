"""The base of readers and writers: a frozen pydantic model whose fields are the configuration."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, ValidationError
from typing_extensions import Self

from hyped_beam.errors import CallSite, DefinitionError, wrong_options
from hyped_beam.types.checked_options import CheckedOptions


class IOSpec(CheckedOptions):
    """One end of a job: its fields are its configuration, validated where it is written and frozen."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, populate_by_name=True
    )

    def __init__(self, **configuration: Any) -> None:
        try:
            super().__init__(**configuration)
        except ValidationError as error:
            raise wrong_options(type(self), configuration, error) from None
        except DefinitionError as error:
            error.site = error.site or CallSite.nearest()
            raise

    def to_json(self) -> dict[str, Any]:
        """The configuration as plain JSON values; `from_json` takes them."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """The reader or writer that `to_json` wrote down.

        Raises:
            DefinitionError: An option is unknown, missing or of a wrong value.
        """
        return cls(**saved)

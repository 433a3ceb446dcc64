"""A Beam pipeline as bytes for programs, and as text for people."""

from __future__ import annotations

from typing import Any

LONGEST_PAYLOAD = 64
"""Bytes of a payload that are shown; what is longer is a pickle, which nobody reads."""


def as_bytes(proto: Any) -> bytes:
    """The message in protobuf's own form, the same bytes for the same message."""
    return bytes(proto.SerializeToString(deterministic=True))


def as_text(proto: Any) -> str:
    """The message in protobuf's text form, with payloads cut short.

    Args:
        proto: A `beam_runner_api_pb2.Pipeline`.
    """
    from google.protobuf import text_format

    shown = type(proto)()
    shown.CopyFrom(proto)
    _cut_payloads(shown)
    return str(text_format.MessageToString(shown))


def _cut_payloads(message: Any) -> None:
    for field, value in message.ListFields():
        if field.name == "payload" and isinstance(value, bytes) and len(value) > LONGEST_PAYLOAD:
            message.payload = b"<%d bytes>" % len(value)
        elif field.message_type is not None and field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for inner in value.values():
                    _cut_payloads(inner)
        elif field.message_type is not None:
            for inner in value if field.is_repeated else (value,):
                _cut_payloads(inner)

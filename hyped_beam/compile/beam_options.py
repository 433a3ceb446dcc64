"""Beam's own options on the command line, checked against what Beam knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from hyped_beam.compile.arguments import own_options
from hyped_beam.errors import InputError, nearest_name


def beam_options(arguments: Sequence[str]) -> dict[str, Any]:
    """The options that arguments set, by the names that Beam's `PipelineOptions` calls them.

    Args:
        arguments: What is left of the command line when our own options are taken out.

    Raises:
        InputError: Beam does not know one, or not such a value.
    """
    if not arguments:
        return {}
    for argument in arguments[:1]:
        if not argument.startswith("-"):
            raise InputError(f"{argument!r} is one argument too many", hint="there is one target")
    known = _parser()
    chosen, unknown = known.parse_known_args(list(arguments))
    actions = known._option_string_actions  # noqa: SLF001 - argparse has no public list
    if unknown:
        raise _unknown(unknown[0], [*own_options(), *actions])
    given = {argument.partition("=")[0] for argument in arguments}
    return {action.dest: getattr(chosen, action.dest) for name, action in actions.items() if name in given}


def _parser() -> Any:
    """Beam's parser of all its options, whose errors are ours."""
    from hyped_beam.launch.running import import_beam

    import_beam()
    from apache_beam.options import pipeline_options

    class Parser(pipeline_options._BeamArgumentParser):  # type: ignore[misc]  # noqa: SLF001 - it alone knows value providers
        def error(self, message: str) -> NoReturn:
            raise InputError(f"Beam's options: {message}")

    made = Parser(allow_abbrev=False, add_help=False)
    for kind in {str(kind): kind for kind in pipeline_options.PipelineOptions.__subclasses__()}.values():
        kind._add_argparse_args(made)  # noqa: SLF001 - as Beam itself reads its command line
    return made


def _unknown(argument: str, known: Sequence[str]) -> InputError:
    name = argument.partition("=")[0]
    if not name.startswith("-"):
        return InputError(f"{argument!r} is one argument too many", hint="there is one target")
    close = nearest_name(name.lstrip("-"), [option.lstrip("-") for option in known])
    message = f"neither hyped_beam nor Beam knows the option {name}"
    hint = f"did you mean --{close}?" if close else "python -m hyped_beam.compile --help"
    return InputError(message, hint=hint)

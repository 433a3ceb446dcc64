"""Installed code that is known to give the same for the same: what user code may use and yet be told.

Everything that is not listed here may read a file, a service or a clock, of which a fingerprint knows
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

READS_FILES = "reads a file; a method fingerprint() of the node would say what that holds"
READS_ENVIRONMENT = "reads the environment; an option that is given by env() can be told"
NOT_REPEATABLE = "is not repeatable: set repeatable = False or give the node a method fingerprint()"
FINDS_CODE = "finds code while it runs, which cannot be told"
NOT_LISTED = (
    "is not known to give the same for the same; a method fingerprint() of the node would say what it reads"
)


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set of names."""
    return frozenset(text.split())


@dataclass(frozen=True)
class _Names:
    """Names of a module: those that are pure, or those that are not."""

    names: frozenset[str]
    pure: bool

    def has(self, name: str | None) -> bool:
        return not (self.names or not self.pure) if name is None else (name in self.names) is self.pure


def _only(names: str) -> _Names:
    return _Names(words(names), pure=True)


def _except(names: str) -> _Names:
    return _Names(words(names), pure=False)


_WHOLE = words(
    """
    abc annotated_types array ast base64 binascii bisect blake2 cmath collections collections.abc
    colorsys contextlib copy copyreg csv dataclasses decimal difflib enum fractions functools
    graphlib hashlib heapq hmac html html.entities html.parser ipaddress itertools json keyword
    logging math md5 numbers numpy.char numpy.dtypes numpy.exceptions numpy.fft numpy.linalg
    numpy.ma numpy.polynomial numpy.strings orjson pprint pyarrow.types pydantic_core
    quopri re regex reprlib sha1 sha2 sha3 statistics string stringprep struct textwrap types typing
    typing_extensions unicodedata urllib.parse warnings xxhash zlib
    """
)
# Of these the modules within, too.
_WITH_INNER = ("collections", "datasets.features", "html", "json", "pydantic", "pydantic_core", "re", "regex")
_ARROW_READS = """
    cpu_count default_memory_pool io_thread_count system_memory_pool total_allocated_bytes
    BufferedInputStream CompressedInputStream FixedSizeBufferWriter MemoryMappedFile NativeFile
    OSFile PythonFile RecordBatchFileReader RecordBatchStreamReader create_memory_map input_stream
    memory_map output_stream
"""
_PARTS = {
    "asyncio": _only("gather sleep wait_for TimeoutError CancelledError"),
    "builtins": _except(
        "__import__ breakpoint compile eval exec globals hash id input locals open vars"
        " copyright credits exit help license quit"
    ),
    "bz2": _only("compress decompress"),
    "calendar": _only("isleap leapdays monthrange timegm weekday month_name month_abbr day_name day_abbr"),
    "codecs": _only("decode encode BOM_UTF8"),
    "datetime": _except("sys"),
    "gzip": _only("compress decompress"),
    "io": _only("BytesIO StringIO"),
    "json": _except("load dump"),
    "lzma": _only("compress decompress"),
    "numpy": _except(
        """
        DataSource core ctypeslib empty empty_like f2py fromfile fromregex genfromtxt lib load
        loadtxt memmap random save savetxt savez savez_compressed testing
        """
    ),
    "operator": _except("attrgetter methodcaller"),
    "ntpath": _only("basename commonpath commonprefix dirname isabs join normpath split splitdrive splitext"),
    "os": _only("extsep fsdecode fsencode fspath linesep path sep"),
    "pathlib": _only("PurePath PurePosixPath PureWindowsPath"),
    "posixpath": _only(
        "basename commonpath commonprefix dirname isabs join normpath split splitdrive splitext"
    ),
    "pyarrow": _except(_ARROW_READS),
    "pyarrow.compute": _except("call_function function_registry get_function random"),
    "pyarrow.lib": _except(_ARROW_READS),
    "pydantic": _except("DirectoryPath FilePath ImportString NewPath SocketPath"),
    "statistics": _except("NormalDist"),  # it draws samples
    "sys": _only("byteorder exc_info float_info hash_info intern maxsize maxunicode version_info"),
    "time": _only("sleep strptime struct_time"),
    "uuid": _only("NAMESPACE_DNS NAMESPACE_OID NAMESPACE_URL NAMESPACE_X500 UUID uuid3 uuid5"),
    "zoneinfo": _only("ZoneInfo ZoneInfoNotFoundError"),
}
_ALIASES = {
    "_collections_abc": "collections.abc",
    "_pydatetime": "datetime",
    "_sre": "re",
    "nt": "os",
    "posix": "os",
}
_DRAWS = ("numpy.random", "random", "secrets", "time", "uuid")
_DRAWN = {"builtins": {"hash", "id"}, "os": {"urandom", "getpid", "getrandom"}, "pyarrow.compute": {"random"}}
_READS = (
    *("fileinput", "gzip", "linecache", "mmap", "pathlib", "shutil", "sqlite3", "tarfile", "zipfile"),
    *(f"pyarrow.{part}" for part in ("csv", "dataset", "feather", "fs", "ipc", "json", "orc", "parquet")),
)
_READING = ("fromfile", "genfromtxt", "load_", "loadtxt", "read_", "scan_")
_FINDS = ("importlib", "pkgutil", "runpy")
_FOUND = frozenset({"__import__", "compile", "eval", "exec", "globals", "locals", "vars"})
# Parts of this library that read, or run flows.
_OWN_THAT_READS = tuple(
    f"hyped_beam.{part}"
    for part in (
        "compile",
        "dsl",
        "execute",
        "io",
        "launch",
        "lowering",
        "plan",
        "processors.lookup",
        "processors.tokenizers",
    )
)

# What attributes of anything are not to be called, whoever made it.
_FILE_ATTRIBUTES = words(
    """
    from_file from_files from_pretrained fromfile glob iterdir listdir memmap memory_map open
    read_bytes read_text readlink rglob scandir decode_example urlopen
    """
)
_ENVIRONMENT_NAMES = frozenset({"environ", "environb", "getenv", "getenvb"})
_CLOCK_ATTRIBUTES = frozenset({"now", "today", "utcnow", "urandom", "getrandbits"})
_CODE_ATTRIBUTES = words(
    """
    __builtins__ __closure__ __globals__ __getattribute__ __import__ __loader__ __spec__ __subclasses__
    ag_frame cell_contents cr_frame f_back f_builtins f_globals f_locals gi_frame import_module tb_frame
    """
)


def why_not(module: str, name: str | None) -> str | None:
    """Why something of an installed module is not known to be pure; None where it is.

    Args:
        module: The name of the module.
        name: The name in it, or None for all that it holds.
    """
    module = _ALIASES.get(module, module)
    top = module.partition(".")[0]
    if top.startswith("_") and top != "__future__":
        module = module[1:]
    name = None if name is None else name.partition(".")[0]
    if finds_code(module, name):
        return FINDS_CODE
    if module.partition(".")[0] == "hyped_beam":
        return NOT_LISTED if _within(module, _OWN_THAT_READS) else None
    part = _PARTS.get(module)
    if part is not None:
        if part.has(name):
            return None
    elif module in _WHOLE or _within(module, _WITH_INNER):
        return None
    if _within(module, _DRAWS) or name in _DRAWN.get(module, ()):
        return NOT_REPEATABLE
    if name in _ENVIRONMENT_NAMES:
        return READS_ENVIRONMENT
    reads = name is not None and (name in ("load", *_FILE_ATTRIBUTES) or name.startswith(_READING))
    return READS_FILES if reads or _within(module, _READS) else NOT_LISTED


def finds_code(module: str, name: str | None) -> bool:
    """Whether it finds code while it runs, so that nothing can be said of what that code is."""
    return _within(module, _FINDS) or (module == "builtins" and name in _FOUND)


def why_not_attribute(name: str) -> str | None:
    """Why code that uses an attribute of this name, of whatever, cannot be told; None where it may."""
    if name in _CODE_ATTRIBUTES:
        return FINDS_CODE
    if name in _FILE_ATTRIBUTES:
        return READS_FILES
    if name in _ENVIRONMENT_NAMES:
        return READS_ENVIRONMENT
    return NOT_REPEATABLE if name in _CLOCK_ATTRIBUTES else None


def asks_for_time(names: set[str], strings: set[str]) -> bool:
    """Whether `numpy.datetime64` may be asked for the time, which it is by a text."""
    return "datetime64" in names and bool({"now", "today"} & strings)


def _within(module: str, names: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)

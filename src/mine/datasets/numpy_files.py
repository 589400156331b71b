"""NumPy's files, opened without ever running what is in them.

An array of Python objects is a pickle, which NumPy would execute. :func:`read_literal` reads one
that holds nothing but texts, numbers and mappings, by interpreting those few operations itself.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mine.errors import InputError

ARRAYS = {
    (module, name)
    for module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
    for name in ("_reconstruct", "ndarray", "dtype", "scalar")
}
"""What a pickled array names: taken as names, never called."""

SLAB_BYTES = 2**24
"""What is read at once beside the result."""

MOST_BYTES = 2**20
"""A mapping of labels is a kilobyte; what is larger is none."""


def open_array(path: Path, *, axes: tuple[int, ...], mapped: bool = True) -> np.ndarray:
    """Open an array of numbers, read as it is asked for (mapped) or whole.

    axes: how many it may have. Raises InputError if the file is absent, cut off, holds Python
    objects, or an array of other axes or no numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected an array of NumPy, found no file")
    try:
        array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        if "pickle" in str(error).lower() or "object" in str(error).lower():
            raise InputError(
                f"{path}: expected an array of numbers, found Python objects (a pickle), which are "
                "never loaded" + _advise(path)
            ) from None
        raise InputError(
            f"{path}: expected a whole array of NumPy, found a damaged one: {error}"
        ) from None
    if not isinstance(array, np.ndarray):
        array.close()
        raise InputError(f"{path}: expected one array of NumPy, found an archive of several")
    if array.dtype.kind not in "iufb":
        raise InputError(f"{path}: expected an array of numbers, found {array.dtype}")
    if array.ndim not in axes or 0 in array.shape:
        wanted = " or ".join(map(str, axes))
        raise InputError(f"{path}: expected an array of {wanted} axes, found shape {array.shape}")
    return array


def divide_rows(
    rows: np.ndarray, step: int, *, aligned: bool = False
) -> Iterator[tuple[int, slice, np.ndarray]]:
    """Divide ascending rows of an array into runs that span at most ``step`` of its rows.

    aligned: runs begin at multiples of the step. Yields the first row of a run, which of the wanted
    rows are in it, and where they are from the first one on.
    """
    start = 0
    while start < len(rows):
        first = int(rows[start]) // step * step if aligned else int(rows[start])
        stop = int(np.searchsorted(rows, first + step))
        yield first, slice(start, stop), rows[start:stop] - first
        start = stop


def take_part(array: Any, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Read some rows and columns of a table in a file, part by part: float32 (row, column).

    rows: ascending. array: mapped, or a dataset of HDF5.
    """
    values = np.empty((len(rows), len(columns)), dtype=np.float32)
    step = max(1, SLAB_BYTES // max(1, array.shape[1] * array.dtype.itemsize))
    for first, wanted, inside in divide_rows(rows, step):
        values[wanted] = np.asarray(array[first : first + step])[inside][:, columns]
    return values


def _advise(path: Path) -> str:
    if not path.name.startswith("TYPE"):
        return ""
    # GLMsingle writes all of its results as one pickled mapping
    return (
        "; save its betas by themselves, by "
        f"`np.save('betasmd.npy', np.load('{path.name}', allow_pickle=True).item()['betasmd'])`, "
        "and name that file"
    )


@dataclass
class _Named:
    """Something that a pickle would have made: what it names, its arguments and its state."""

    name: tuple[str, str]
    arguments: Any = None
    state: Any = None


_MARK = object()


def read_literal(path: Path) -> Any:
    """Read an array of one Python object that consists of texts, numbers, lists and mappings.

    The operations of the pickle are interpreted one by one; anything but such values is refused,
    and nothing is imported or called. Raises InputError for everything else.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected a mapping of labels, found no file")
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path}: expected a mapping of labels, found a file of a megabyte")
    with open(path, "rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, kind = header(file)
        except (ValueError, EOFError, OSError):
            raise InputError(f"{path}: expected a file of NumPy, found something else") from None
        if kind.kind != "O" or shape not in ((), (1,)):
            raise InputError(
                f"{path}: expected one mapping of labels, found an array of {kind} {shape}"
            )
        content = file.read()
    try:
        return _plain(_interpret(content))
    except _Refused as refused:
        raise InputError(
            f"{path}: expected a mapping of numbers to texts, found {refused}, which is not read"
        ) from None
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration, RecursionError):
        raise InputError(f"{path}: expected a mapping of labels, found a damaged one") from None


class _Refused(Exception):
    """An operation that makes more than texts, numbers, lists and mappings."""


def _interpret(content: bytes) -> Any:
    """Value that the operations of a pickle leave on its stack."""
    stack: list[Any] = []
    memory: dict[int, Any] = {}

    def pop_marked() -> list[Any]:
        place = len(stack) - 1 - next(n for n, one in enumerate(reversed(stack)) if one is _MARK)
        values = stack[place + 1 :]
        del stack[place:]
        return values

    for operation, argument, _ in pickletools.genops(content):
        code = operation.name
        if code in ("PROTO", "FRAME"):
            continue
        if code == "STOP":
            return stack.pop()
        if code == "MARK":
            stack.append(_MARK)
        elif code in ("NONE", "NEWTRUE", "NEWFALSE"):
            stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[code])
        elif code in _PLAIN:
            stack.append(argument)
        elif code in ("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE"):
            stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[code]())
        elif code in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(code[-1])
            values = tuple(stack[-count:])
            del stack[-count:]
            stack.append(values)
        elif code == "TUPLE":
            stack.append(tuple(pop_marked()))
        elif code == "LIST":
            stack.append(pop_marked())
        elif code == "APPEND":
            value = stack.pop()
            stack[-1].append(value)
        elif code == "APPENDS":
            values = pop_marked()
            stack[-1].extend(values)
        elif code == "DICT":
            values = pop_marked()
            stack.append(_pair(values))
        elif code == "SETITEM":
            value, key = stack.pop(), stack.pop()
            stack[-1].update(_pair([key, value]))
        elif code == "SETITEMS":
            values = pop_marked()
            stack[-1].update(_pair(values))
        elif code in ("BINPUT", "LONG_BINPUT", "PUT"):
            memory[int(argument)] = stack[-1]
        elif code == "MEMOIZE":
            memory[len(memory)] = stack[-1]
        elif code in ("BINGET", "LONG_BINGET", "GET"):
            value = memory[int(argument)]
            if isinstance(value, dict | list | tuple) and value:
                # what holds itself, or one thing many times, has no end
                raise _Refused("a container that stands in several places")
            stack.append(value)
        elif code == "POP":
            stack.pop()
        elif code in ("GLOBAL", "STACK_GLOBAL"):
            if code == "GLOBAL":
                module, _, name = argument.partition(" ")
            else:
                name, module = stack.pop(), stack.pop()
            if (module, name) not in ARRAYS:
                raise _Refused(f"{module}.{name}")
            stack.append(_Named((module, name)))
        elif code == "REDUCE":
            arguments, named = stack.pop(), stack.pop()
            if not isinstance(named, _Named):
                raise _Refused("a call")
            stack.append(_Named(named.name, arguments))
        elif code == "BUILD":
            state = stack.pop()
            if not isinstance(stack[-1], _Named):
                raise _Refused("an object")
            stack[-1].state = state
        else:
            raise _Refused(f"the operation {code}")
    raise ValueError("no end")


_PLAIN = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "STRING", "BINSTRING", "SHORT_BINSTRING"),
}
"""Operations that put their own argument on the stack."""


def _pair(values: list[Any]) -> dict[Any, Any]:
    keys = [_plain(key) for key in values[::2]]
    return dict(zip(keys, values[1::2], strict=True))


def _plain(value: Any) -> Any:
    """The value without NumPy's wrapping: of an array of one object that object."""
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item) for item in value)
    if not isinstance(value, _Named):
        return value
    name = value.name[1]
    if name == "scalar":
        kind, data = value.arguments
        letter = kind.arguments[0]
        if isinstance(kind, _Named) and letter[0] in "iufbU" and isinstance(data, bytes):
            order = kind.state[1] if kind.state else "<"
            return np.frombuffer(data, dtype=np.dtype(letter).newbyteorder(order))[0].item()
        raise _Refused("a number of another kind")
    if name == "_reconstruct" and isinstance(value.state, tuple) and len(value.state) == 5:
        content = value.state[4]
        if isinstance(content, list) and len(content) == 1:
            return _plain(content[0])
    raise _Refused(".".join(value.name))

"""What a trial that did not complete ended by, in five classes, told by the types of errors."""

from __future__ import annotations

import re
from collections.abc import Iterator

from seedbed.errors import (
    BAD_DATA,
    DIVERGED,
    INFRASTRUCTURE,
    OUT_OF_MEMORY,
    OWN_ERROR,
    SeedbedError,
)

# A class, as a person reads it.
FAILURES = {
    DIVERGED: "diverged",  # an outcome of the recipe: the same seed would diverge again
    OUT_OF_MEMORY: "out of memory",
    BAD_DATA: "bad data",
    INFRASTRUCTURE: "infrastructure",  # retried with the same seed
    OWN_ERROR: "an error of its own",  # of the study's, or of the code that it names
}
# By the class in a type's ancestry that says most; Ray's and torch's are not imported here.
TYPES = {
    "builtins.MemoryError": OUT_OF_MEMORY,
    "torch.OutOfMemoryError": OUT_OF_MEMORY,
    "ray.exceptions.OutOfMemoryError": OUT_OF_MEMORY,
    "seedbed.errors.SampleFault": BAD_DATA,
    "seedbed.errors.TransientError": INFRASTRUCTURE,
    "ray.exceptions.RayTaskError": OWN_ERROR,  # what a task raised, whose own type says no more
    "ray.exceptions.RayError": INFRASTRUCTURE,
    "torch.distributed.DistError": INFRASTRUCTURE,
    "builtins.FileNotFoundError": OWN_ERROR,
    "builtins.PermissionError": OWN_ERROR,
    "builtins.IsADirectoryError": OWN_ERROR,
    "builtins.NotADirectoryError": OWN_ERROR,
    "builtins.OSError": INFRASTRUCTURE,
}
# CUDA's own numbers (driver_types.h), of a torch.AcceleratorError.
ACCELERATOR, OF_ITS_MEMORY = "torch.AcceleratorError", 2
OF_A_PROGRAM = frozenset({1, 9, 700, 710, 716, 717, 718})  # bad values, launches and addresses
# Of torch's RuntimeErrors that have no type of their own.
WORDS = {
    r"DefaultCPUAllocator: .*allocate": OUT_OF_MEMORY,
    # Of CUDA's libraries, which take memory beside torch's own.
    r"\bCU[A-Z]+_STATUS_ALLOC_FAILED\b": OUT_OF_MEMORY,
    r"\bCUDA (driver )?error: out of memory\b": OUT_OF_MEMORY,
    r"\bgloo/transport/|\bgloo\b.*(Connection|Timed out|Socket)": INFRASTRUCTURE,
}


def failure_of(error: BaseException) -> str:
    """The class of `error`, or of what Ray has wrapped in it: one of FAILURES."""
    for link in causes(error):
        if isinstance(link, SeedbedError):
            return link.failure
        if (found := _by_type(link)) is not None:
            return found
    return OWN_ERROR


def causes(error: BaseException) -> Iterator[BaseException]:
    """What Ray has wrapped in `error`, innermost first, and `error` itself."""
    seen: set[int] = set()

    def walk(link: object) -> Iterator[BaseException]:
        if not isinstance(link, BaseException) or id(link) in seen:
            return
        seen.add(id(link))
        inside = [getattr(link, name, None) for name in ("cause", "_base_exc")]
        inside += [getattr(link, "health_check_failure", None), link.__cause__]
        for one in [*inside, *dict(getattr(link, "worker_failures", None) or {}).values()]:
            yield from walk(one)
        yield link

    return walk(error)


def _by_type(error: BaseException) -> str | None:
    for kind in type(error).__mro__:
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name == ACCELERATOR:
            number = getattr(error, "error_code", None)
            if number == OF_ITS_MEMORY:
                return OUT_OF_MEMORY
            return OWN_ERROR if number in OF_A_PROGRAM else INFRASTRUCTURE
        if name in TYPES:
            return TYPES[name]
    if isinstance(error, RuntimeError):
        for words, failure in WORDS.items():
            if re.search(words, str(error), re.DOTALL):
                return failure
    return None


def said(failure: str) -> str:
    """A class in words; "" where none is known."""
    return FAILURES.get(failure, "")

"""A child process: `python -m streams.runtime.child_main FD PARENT_PID [MODULE…]`.

It serves one call at a time over the socket FD: each message is 8 bytes of length (big-endian) and a
pickle. A call is `(module, function, args)`; an answer is `(True, value)` or `(False, GatewayError)`.
The socket is its own, so that what native libraries print cannot corrupt it.
"""

import contextlib
import importlib
import os
import pickle  # both ends are this same program, on a private socket
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from schemas.errors import GatewayError, Transient
from streams.runtime.parent_death import die_with_parent, exit_if_orphaned

LENGTH_BYTES = 8
_NICE = 5
OUT_OF_MEMORY = "work_out_of_memory"


def main(arguments: list[str]) -> None:
    """Serve until the socket ends."""
    descriptor, parent_pid, *preload = arguments
    die_with_parent()
    exit_if_orphaned(int(parent_pid))
    _be_the_first_to_go()
    # Minutes of work on a full machine must not hold up the loops that answer callers in milliseconds.
    os.nice(_NICE)
    for module in preload:
        importlib.import_module(module)
    with socket.socket(fileno=int(descriptor)) as connection, connection.makefile("rwb") as stream:
        stream.write(frame((True, None)))  # ready
        stream.flush()
        while header := stream.read(LENGTH_BYTES):
            body = stream.read(int.from_bytes(header, "big"))
            stream.write(_answer(*pickle.loads(body)))  # noqa: S301 - see the import
            stream.flush()


def frame(message: object) -> bytes:
    """Return a message as it goes over the socket."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def _answer(module: str, function: str, args: tuple[Any, ...]) -> bytes:
    try:
        # Pickled inside the try: a value that cannot be is a failure of the call.
        return frame((True, getattr(importlib.import_module(module), function)(*args)))
    except GatewayError as e:
        return frame((False, e))
    except MemoryError:
        return frame((False, Transient(f"{module}:{function} ran out of memory", code=OUT_OF_MEMORY)))
    except Exception as e:
        # Only the places: an exception's text may quote the document.
        places = "".join(traceback.format_tb(e.__traceback__)[-3:])
        sys.stderr.write(f"{module}:{function} raised {type(e).__name__}\n{places}")
        return frame((False, Transient(f"{module}:{function} raised {type(e).__name__}", code="internal_error")))


def _be_the_first_to_go() -> None:
    # When the machine runs out of memory the kernel should take a child, not the consumer.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


if __name__ == "__main__":
    main(sys.argv[1:])

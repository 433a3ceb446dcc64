"""A program that runs another one until its own standard input is closed.

Whoever started it holds the other end of that pipe, and lets go of it however it ends, by `kill -9` too.

    python tied.py PROGRAM ARGUMENT...
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading


def main() -> None:
    """Run the program, and end with its status."""
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)  # noqa: S603 - what it is there for

    def end_with_input() -> None:
        while os.read(0, 1):
            continue
        child.kill()

    threading.Thread(target=end_with_input, daemon=True).start()
    status = child.wait()
    os._exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()

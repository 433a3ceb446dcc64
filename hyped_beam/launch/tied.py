"""A program that runs another one until its own standard input is closed, and then removes what it used.

Whoever started it holds the other end of that pipe, and lets go of it however it ends, by `kill -9` too.

    python tied.py FOLDER PROGRAM ARGUMENT...
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading


def main() -> None:
    """Run the program, remove the folder, and end with the status of the program."""
    child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL)  # noqa: S603 - what it is there for
    is_over = threading.Event()

    def end_with_input() -> None:
        while os.read(0, 1):
            continue
        is_over.set()
        child.kill()

    threading.Thread(target=end_with_input, daemon=True).start()
    status = child.wait()
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    if is_over.is_set() and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # with what the program has started
    os._exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()

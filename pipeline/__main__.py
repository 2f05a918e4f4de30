"""The program `mwe`, also as `python -m pipeline`: answers Ctrl-C in one line from its first moment on.

Loading the command line takes a few tenths of a second, and Python's own answer to Ctrl-C meanwhile is a traceback.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line."""
    signal.signal(signal.SIGINT, _stop)
    from pipeline import cli

    try:
        cli.main()
    except SystemExit as end:
        if end.code == cli.INTERRUPTED:
            with suppress(OSError):
                sys.stdout.flush()
            # Without waiting for threads, such as a look-up of a host name that hangs.
            os._exit(cli.INTERRUPTED)
        raise


def _stop(number: int, frame: FrameType | None) -> None:
    command = shlex.join(["mwe", *sys.argv[1:]])
    os.write(2, f"mwe: interrupted before the work began or after it ended; run it again with: {command}\n".encode())
    # Nothing is half done here, and an exception in the middle of an import would be shown with its traceback.
    os._exit(130)


if __name__ == "__main__":
    main()

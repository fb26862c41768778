"""`python _die_with_parent.py PARENT_PID COMMAND...`: run COMMAND so that it cannot outlive its
parent.

On Linux the kernel does it (PR_SET_PDEATHSIG survives exec); elsewhere this process stays and
watches.
Run as a file with `python -I -S`, so it imports nothing of ours and starts in milliseconds.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Become COMMAND, or watch over it."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if os.uname().sysname == "Linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            return 1  # it died before the line above
        os.execv(command[0], command)
    child = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while child.poll() is None:
        if os.getppid() != parent:
            child.kill()
        time.sleep(0.2)
    return child.returncode


if __name__ == "__main__":
    sys.exit(main())

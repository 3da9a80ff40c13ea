"""Runs the program that the arguments name, and prints what it took, as JSON.

A process of its own between us and what is measured, and a small one: Linux counts the memory of whoever starts a
program as memory that the program had.
"""

import json
import os
import sys
import time


def main(command: list[str]) -> None:
    """Throws away what the program prints on its standard output."""
    nowhere = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    start = time.perf_counter()
    child = os.posix_spawn(command[0], command, os.environ, file_actions=[nowhere])
    _, status, usage = os.wait4(child, 0)
    taken = {
        "seconds": time.perf_counter() - start,
        "processor": usage.ru_utime + usage.ru_stime,
        "mebibytes": usage.ru_maxrss / 1024,
        "status": os.waitstatus_to_exitcode(status),
    }
    print(json.dumps(taken))


if __name__ == "__main__":
    main(sys.argv[1:])

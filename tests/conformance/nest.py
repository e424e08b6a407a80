#!/usr/bin/env python3
"""The command of a run: starts drivers below it, each with a socket of the kit as stdin and stdout.

Usage: nest.py SOCKET COUNT DRIVER ARG...

Tells the kit each driver's pid on a line of its socket before the driver is asked anything, and
waits until all have ended, however they do.
"""

import socket
import subprocess
import sys


def main():
    path, count, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    drivers = []
    for _ in range(count):
        with socket.socket(socket.AF_UNIX) as desk:
            desk.connect(path)
            drivers.append(subprocess.Popen(command, stdin=desk, stdout=desk))
            desk.sendall(f"{drivers[-1].pid}\n".encode())
    for driver in drivers:
        driver.wait()


if __name__ == "__main__":
    main()

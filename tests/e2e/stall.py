"""A machine under load, for those who hunt races: `run.py --stall` stops the arbiter of each run for
short whiles at random, so that what it looks at changes between two looks. Tests that stop the
arbiter themselves, or count what it does, do not fit it."""

import contextlib
import os
import random
import signal
import threading
import time

PAUSES = (0.0002, 0.001, 0.003, 0.01, 0.05)  # seconds
TURNS = (0.0002, 0.001, 0.003)


def stall(run):
    """Until `run` ends, in the background."""
    threading.Thread(target=_stall, args=(run,), daemon=True).start()


def _stall(run):
    while not run.ended():
        arbiter = run.arbiter()
        if arbiter is None:
            time.sleep(0.005)
            continue
        with contextlib.suppress(ProcessLookupError):  # until that one has ended
            _stall_one(arbiter)


def _stall_one(arbiter):
    pidfd = os.pidfd_open(arbiter)
    try:
        while True:
            signal.pidfd_send_signal(pidfd, signal.SIGSTOP)
            time.sleep(random.choice(PAUSES) * random.random())
            signal.pidfd_send_signal(pidfd, signal.SIGCONT)
            time.sleep(random.choice(TURNS) * random.random())
    finally:
        os.close(pidfd)

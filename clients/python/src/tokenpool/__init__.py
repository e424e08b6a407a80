"""Client of Tokenpool: asks the arbiter of a build for slots.

    import tokenpool

    with tokenpool.connect(name="mytool") as pool:
        with pool.acquire(max=4, type="link", target="app") as lease:
            link("app", threads=lease.slots)

connect() never fails: without an arbiter the pool is the GNU make jobserver that MAKEFLAGS names,
and without that it has one slot. `pool.mode` and `pool.reason` tell. For asyncio there is
`tokenpool.aio`, with the same calls.
"""

from __future__ import annotations

import importlib
from typing import Any

from ._pool import Lease, Pending, Pool, connect
from ._words import (Cancelled, Error, Impossible, JobserverReason, Mode, NoSuchLease, Reason,
                     Unavailable)

__all__ = ["Cancelled", "Error", "Impossible", "JobserverReason", "Lease", "Mode", "NoSuchLease",
           "Pending", "Pool", "Reason", "Unavailable", "aio", "connect"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "aio":  # asyncio takes longer to import than all of this; most tools do not need it
        return importlib.import_module(".aio", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

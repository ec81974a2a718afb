# SPDX-License-Identifier: GPL-2.0-only
"""numpy, which is loaded when it is first used.

That takes a fifth of the time of `source gdb/seginfo.py`, and only few commands use it.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Uint64s = NDArray[np.uint64]
    Int64s = NDArray[np.int64]
    Int32s = NDArray[np.int32]
    Uint8s = NDArray[np.uint8]
    Bools = NDArray[np.bool_]
else:
    Uint64s = Int64s = Int32s = Uint8s = Bools = Any

    def _lazily(name: str) -> Any:
        """A module whose code is run at the first look at an attribute."""
        if name in sys.modules:
            return sys.modules[name]
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        spec.loader = importlib.util.LazyLoader(spec.loader)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    np = _lazily("numpy")

__all__ = ["Bools", "Int32s", "Int64s", "Uint64s", "Uint8s", "np"]

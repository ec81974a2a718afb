# SPDX-License-Identifier: GPL-2.0-only
"""Sockets behind descriptors: struct socket (include/linux/net.h)."""

from __future__ import annotations

from . import kernel, layout
from .memory import Fault

SOCKET = layout.Form("struct socket", "state", "type", "sk")
SOCK = layout.Form(
    "struct sock", family="__sk_common.skc_family", state="__sk_common.skc_state"
)
TCP_LISTEN = 10  # include/net/tcp_states.h, of other families too
FAMILIES = {  # include/linux/socket.h
    **{1: "unix", 2: "inet", 10: "inet6", 16: "netlink", 17: "packet", 40: "vsock"},
}
TYPES = {1: "stream", 2: "datagram", 3: "raw", 5: "seqpacket"}  # include/linux/net.h


def SOCKET_I(inode: int) -> int:  # noqa: N802, as the kernel calls it
    """The struct socket * of a struct inode *. See include/net/sock.h."""
    return (
        inode
        - layout.offsetof("struct socket_alloc", "vfs_inode")
        + layout.offsetof("struct socket_alloc", "socket")
    )


def text(inode: int) -> str:
    """Family, type and state of a socket. Parameter: struct inode *."""
    guest = kernel.memory()
    try:
        socket = SOCKET(guest, SOCKET_I(inode))
        sock = SOCK(guest, socket.sk) if socket.sk else None
    except Fault as fault:
        return f"socket ({fault})"
    words = [TYPES.get(socket.type, f"type {socket.type}"), "socket"]
    if sock is not None:
        words.insert(0, FAMILIES.get(sock.family, f"family {sock.family}"))
    if sock is not None and sock.state == TCP_LISTEN:
        return f"{' '.join(words)}, listening"
    return f"{' '.join(words)}, {_states().get(socket.state, socket.state)}"


@layout.cached
def _states() -> dict[int, str]:
    """SS_CONNECTED as "connected": socket_state, include/uapi/linux/net.h."""
    found = layout.enumerators("socket_state")
    return {
        value: name.removeprefix("SS_").lower().replace("_", " ")
        for name, value in found.items()
    }

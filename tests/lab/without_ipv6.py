"""Run a command as on a kernel without IPv6: `without_ipv6.py COMMAND...`.

No socket of that family can be made (EAFNOSUPPORT, by a seccomp filter) and /proc/sys/net/ipv6 is hidden.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import subprocess
import sys

PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
ALLOW, ERROR = 0x7FFF0000, 0x00050000
SYS_SOCKET = {"x86_64": 41, "aarch64": 198}
AF_INET6 = 10


def instruction(code: int, if_true: int, if_false: int, value: int) -> bytes:
    """One struct sock_filter."""
    return struct.pack("HBBI", code, if_true, if_false, value)


def refuse_ipv6_sockets() -> None:
    """Install the filter in this process and all that it starts."""
    program = b"".join(
        [
            instruction(LOAD, 0, 0, 0),  # number of the call
            instruction(JUMP_EQUAL, 0, 3, SYS_SOCKET[platform.machine()]),
            instruction(LOAD, 0, 0, 16),  # its first argument
            instruction(JUMP_EQUAL, 0, 1, AF_INET6),
            instruction(RETURN, 0, 0, ERROR | errno.EAFNOSUPPORT),
            instruction(RETURN, 0, 0, ALLOW),
        ]
    )
    code = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    for words in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0)):
        if libc.prctl(*words):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    subprocess.run(["mount", "-t", "tmpfs", "none", "/proc/sys/net/ipv6"], check=True)
    refuse_ipv6_sockets()
    os.execvp(sys.argv[1], sys.argv[1:])

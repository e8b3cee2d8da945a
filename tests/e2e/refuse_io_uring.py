"""Runs a program under a seccomp filter that refuses io_uring, as container runtimes do.

refuse_io_uring.py errno|kill PROGRAM ARGUMENT…

errno: io_uring_setup fails with EPERM, as under Docker's default profile.
kill:  any io_uring system call kills the process: proof that it made none.
"""

import ctypes
import os
import sys

ALLOW = 0x7FFF0000
EPERM_ACTION = 0x00050000 | 1
KILL_PROCESS = 0x80000000


def load_filter(action):
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int,
                                         ctypes.c_uint]
    library.seccomp_load.argtypes = [ctypes.c_void_p]
    context = library.seccomp_init(ctypes.c_uint32(ALLOW))
    for name in (b"io_uring_setup", b"io_uring_enter", b"io_uring_register"):
        number = library.seccomp_syscall_resolve_name(name)
        if library.seccomp_rule_add(context, action, number, 0) != 0:
            sys.exit(f"seccomp_rule_add {name} failed")
    if library.seccomp_load(context) != 0:
        sys.exit("seccomp_load failed")


if __name__ == "__main__":
    load_filter({"errno": EPERM_ACTION, "kill": KILL_PROCESS}[sys.argv[1]])
    os.execvp(sys.argv[2], sys.argv[2:])

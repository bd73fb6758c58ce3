"""Seccomp: a filter of system calls that no job needs, written as the kernel's own small machine code.

A refused call fails with EPERM, so that a program can say what it missed. Calls of another ABI than the machine's own
(32 bit, x32) have other numbers and would walk around the filter: they kill.
"""

import ctypes
import errno
import os
import platform
import socket
import struct

from fitness.walls import kernel, syscalls

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
_X32 = 0x40000000
_THREAD = 0x00010000
_NAMESPACES = 0x7E020080  # cgroup, uts, ipc, user, pid, net; mount; time
_UNIX, _SEQPACKET = 1, 5
# CUDA's driver does not start without them (error 304). An anonymous file can hold a program, but what runs in it is
# behind the same walls, and a job that may open a GPU may load machine code that it has built itself anyway.
_DRIVERS = ("socket", "bind", "listen", "memfd_create")
_SET_FILTER = 1


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def install(programs: bool, gpu: bool = False) -> None:
    """Filter this process and all it starts; `programs` allows new processes, which only a compiler needs.

    `gpu` allows what CUDA's driver does not start without: anonymous files, and a socket that it listens on. Nobody may
    connect or accept, so the socket reaches nothing.
    """
    if platform.machine() not in syscalls.ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no filter is written for {platform.machine()}")
    column, mark = syscalls.ARCHITECTURES[platform.machine()]
    code = _filter(column, mark, programs, gpu)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    program = _Program(len(code) // 8, code)
    kernel.call(syscalls.SECCOMP[column], ctypes.c_uint(_SET_FILTER), ctypes.c_uint(0), ctypes.byref(program))


def _filter(column: int, mark: int, programs: bool, gpu: bool) -> bytes:
    """Write the filter for one architecture. `kill` may reach this very process, so the filter is made in it."""
    code = [_step(_LOAD, _ARCHITECTURE), _step(_EQUAL, mark, 1, 0), _step(_RETURN, _KILL), _step(_LOAD, _NUMBER)]
    if column == 0:
        code += [_step(_AT_LEAST, _X32, 0, 1), _step(_RETURN, _KILL)]
    refused = syscalls.REFUSED if programs else {**syscalls.REFUSED, **syscalls.PROGRAMS}
    for name, numbers in refused.items():
        if not (gpu and name in _DRIVERS):
            code += _when(numbers[column], [_refuse()])
    if gpu:
        code += _when(refused["socket"][column], _listener())
    conditions = {
        # its flags are out of a filter's sight; the C library goes on with clone when told that there is no clone3
        "clone3": [_step(_RETURN, _ERROR | errno.ENOSYS)],
        "clone": _clone(programs),
        "kill": _only(0, (os.getpid(),)),
        "tgkill": _only(0, (os.getpid(),)),
        "socketpair": _only(0, (_UNIX,)),
        "prlimit64": _only(0, (0, os.getpid())),
        "sched_setaffinity": _only(0, (0, os.getpid())),
        "ioctl": _but(1, syscalls.FILE_SYSTEMS, shift=8),
        "fcntl": _but(1, syscalls.WATCHING),
    }
    for name, body in conditions.items():
        code += _when(syscalls.CONDITIONAL[name][column], body)
    return b"".join([*code, _step(_RETURN, _ALLOW)])


def _clone(programs: bool) -> list[bytes]:
    """Allow threads, and processes to a compiler; never into new namespaces."""
    checks = [_argument(0), _step(_ANY_BIT, _NAMESPACES, 0, 1), _refuse()]
    if not programs:
        checks += [_step(_ANY_BIT, _THREAD, 1, 0), _refuse()]
    return [*checks, _step(_RETURN, _ALLOW)]


def _listener() -> list[bytes]:
    """Allow Unix sockets of whole messages alone: of the three kinds, datagrams need no connection to be sent."""
    flags = (0, socket.SOCK_CLOEXEC, socket.SOCK_NONBLOCK, socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    kinds = tuple(_SEQPACKET | flag for flag in flags)
    return [_argument(0), _step(_EQUAL, _UNIX, 1, 0), _refuse(), *_only(1, kinds)]


def _only(argument: int, values: tuple[int, ...]) -> list[bytes]:
    """Refuse unless the low word of an argument is one of the values."""
    checks = [_argument(argument)]
    for value in values:
        checks += [_step(_EQUAL, value, 0, 1), _step(_RETURN, _ALLOW)]
    return [*checks, _refuse()]


def _but(argument: int, values: tuple[int, ...], shift: int = 0) -> list[bytes]:
    """Refuse if an argument is one of the values; with a shift, if the byte there is."""
    checks = [_argument(argument), *([_step(_AND, 0xFF << shift)] if shift else [])]
    for value in values:
        checks += [_step(_EQUAL, value << shift, 0, 1), _refuse()]
    return [*checks, _step(_RETURN, _ALLOW)]


def _when(number: int | None, body: list[bytes]) -> list[bytes]:
    """Run the body, which ends with a return, for one call."""
    return [] if number is None else [_step(_EQUAL, number, 0, len(body)), *body]


def _argument(index: int) -> bytes:
    return _step(_LOAD, 16 + 8 * index)


def _refuse() -> bytes:
    return _step(_RETURN, _ERROR | errno.EPERM)


def _step(operation: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", operation, yes, no, value)

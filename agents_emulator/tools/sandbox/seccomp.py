"""The filter of system calls for executed code, as the program that bubblewrap loads (`--seccomp FD`).

Assembled here rather than by libseccomp: it is a list of numbers that never change, compared one after the
other, and the one library for Python needs a C library beside it. Calls of a kernel newer than this list do
not exist for the code (ENOSYS), so the C library falls back to older ones and nothing new is open unseen.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

NEWEST = 452
"""`fchmodat2` of Linux 6.6, the last call that was looked at."""

# What code has no use for, by kind; x86_64 and aarch64, None where the architecture does not have it.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # processes: only threads, see `clone`
    **{"fork": (57, None), "vfork": (58, None)},
    # memory and state of other processes
    **{"ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271)},
    **{"kcmp": (312, 272), "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434)},
    **{"pidfd_getfd": (438, 438), "process_madvise": (440, 440), "process_mrelease": (448, 448)},
    **{"move_pages": (279, 239), "migrate_pages": (256, 238)},
    # sockets: not all families are bound to a network namespace (vsock, AF_ALG)
    "socket": (41, 198),
    # mounts and namespaces
    **{"mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51)},
    **{"setns": (308, 268), "unshare": (272, 97), "open_tree": (428, 428), "move_mount": (429, 429)},
    **{"fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433)},
    **{"mount_setattr": (442, 442), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265)},
    "fanotify_init": (300, 262),
    # large and often broken parts of the kernel
    **{"bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "seccomp": (317, 277)},
    **{"io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427)},
    # keyrings: no namespace holds them
    **{"add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219)},
    # memory that no limit of a process counts
    **{"memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196)},
    **{"semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180)},
    # the machine
    **{"init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106)},
    **{"kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142), "acct": (163, 89)},
    **{"swapon": (167, 224), "swapoff": (168, 225), "quotactl": (179, 60), "quotactl_fd": (443, 443)},
    **{"syslog": (103, 116), "settimeofday": (164, 170), "clock_settime": (227, 112)},
    **{"clock_adjtime": (305, 266), "adjtimex": (159, 171), "vhangup": (153, 58), "iopl": (172, None)},
    **{"ioperm": (173, None), "modify_ldt": (154, None), "uselib": (134, None), "personality": (135, 92)},
}

_PRCTL_ALLOWED = (2, 3, 15, 16, 21, 23, 39, 41, 42, 0x53564D41)
"""Names of threads and of memory, huge pages, and questions; not PDEATHSIG, DUMPABLE, PTRACER and so on."""

_IOCTL_REFUSED = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX put keystrokes into a terminal."""

_CLONE_THREAD, _NEW_NAMESPACES = 0x00010000, 0x7E020000
_CLONE3 = 435
_EPERM, _ENOSYS = 1, 38
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
# Operations of classic BPF: load a word, return, jump if equal, greater, any of these bits.
_LOAD, _RETURN, _EQUAL, _GREATER, _ANY = 0x20, 0x06, 0x15, 0x25, 0x45
_NUMBER, _ARCHITECTURE, _ARGUMENT_0, _ARGUMENT_1 = 0, 4, 16, 24


@dataclass(frozen=True)
class _Architecture:
    """The audit number, the column in the list above, and the calls whose arguments are looked at."""

    audit: int
    column: int
    clone: int
    prctl: int
    ioctl: int


_ARCHITECTURES = {
    "x86_64": _Architecture(0xC000003E, 0, 56, 157, 16),
    "aarch64": _Architecture(0xC00000B7, 1, 220, 167, 29),
}

_Step = tuple[int, int, int, int]


def refused_numbers(machine: str) -> dict[str, int]:
    """Return the calls that are refused whatever their arguments, by name."""
    column = _ARCHITECTURES[machine].column
    return {name: numbers[column] for name, numbers in _REFUSED.items() if numbers[column] is not None}  # type: ignore[misc]


def program(machine: str) -> bytes | None:
    """Return the filter for an architecture (as `platform.machine` names it); None if there is none."""
    known = _ARCHITECTURES.get(machine)
    if known is None:
        return None
    refuse = (_RETURN, 0, 0, _ERRNO | _EPERM)
    absent = (_RETURN, 0, 0, _ERRNO | _ENOSYS)
    allow = (_RETURN, 0, 0, _ALLOW)
    steps: list[_Step] = [
        *((_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, known.audit), (_RETURN, 0, 0, _KILL)),
        (_LOAD, 0, 0, _NUMBER),
        # Also the numbers of x32, another calling convention of x86-64.
        *((_GREATER, 0, 1, NEWEST), absent),
        # The C library falls back to clone, whose flags can be read here.
        *((_EQUAL, 0, 1, _CLONE3), absent),
    ]
    for number in sorted(refused_numbers(machine).values()):
        steps += [(_EQUAL, 0, 1, number), refuse]
    steps += _case(
        known.clone,
        [
            *((_LOAD, 0, 0, _ARGUMENT_0), (_ANY, 0, 1, _NEW_NAMESPACES), refuse),
            *((_ANY, 1, 0, _CLONE_THREAD), refuse, allow),
        ],
    )
    prctl: list[_Step] = [(_LOAD, 0, 0, _ARGUMENT_0)]
    for option in _PRCTL_ALLOWED:
        prctl += [(_EQUAL, 0, 1, option), allow]
    steps += _case(known.prctl, [*prctl, refuse])
    ioctl: list[_Step] = [(_LOAD, 0, 0, _ARGUMENT_1)]
    for request in _IOCTL_REFUSED:
        ioctl += [(_EQUAL, 0, 1, request), refuse]
    steps += _case(known.ioctl, [*ioctl, allow])
    return b"".join(struct.pack("=HBBI", *step) for step in (*steps, allow))


def _case(number: int, then: list[_Step]) -> list[_Step]:
    """What is done for one call; `then` must end with an answer."""
    return [(_EQUAL, 0, len(then), number), *then]

"""The child process of an execution; a script of its own that imports the standard library only.

`python -I supervisor.py` reads one line of JSON from stdin, locks a child of its own up and lets it execute
the code there. The code's output is this process's stdout; a report, one line of JSON, is its stderr. It ends
the code when stdin is closed, when time is up, or when it ends itself.

What holds the code, in this order:

1. namespaces of its own (user, network, mounts, processes, IPC) where the system permits it: no network
   at all, and a file system of the interpreter (read only), `/mnt/data`, `/mnt/state` and a small `/tmp`;
2. no capabilities, no way to gain any;
3. a filter of system calls (x86-64 and ARM64): no new processes or programs, no sockets, no signals or
   tracing of others;
4. limits on CPU time, memory, file size, open files and processes;
5. without namespaces, an audit hook of Python that refuses sockets, processes and files elsewhere. That
   keeps honest code where it belongs, but is no wall against code that attacks the interpreter itself.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import resource
import select
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SETUP_FAILED = 97
_CLONE_NEWNS, _CLONE_NEWIPC, _CLONE_NEWUSER = 0x00020000, 0x08000000, 0x10000000
_CLONE_NEWPID, _CLONE_NEWNET, _CLONE_THREAD = 0x20000000, 0x40000000, 0x00010000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
_MNT_DETACH, _AT_FDCWD, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = 2, -100, 0x8000, 1
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SYS_MOUNT_SETATTR, _SYS_CLONE3 = 442, 435
_EPERM, _ENOSYS = 1, 38

# Numbers of system calls: of the architecture itself, of pivot_root, of clone, and of what is refused
# (processes, programs, sockets, namespaces, tracing, signals and memory of others, io_uring).
_ARCHITECTURES: dict[str, tuple[int, int, int, tuple[int, ...]]] = {
    "x86_64": (
        *(0xC000003E, 155, 56),
        (57, 58, 59, 322, 41, 272, 308, 101, 62, 200, 234, 129, 424, 434, 438, 310, 311, 425, 321, 298),
    ),
    "aarch64": (
        *(0xC00000B7, 41, 220),
        (221, 281, 198, 97, 268, 117, 129, 130, 131, 138, 424, 434, 438, 270, 271, 425, 280, 241),
    ),
}

_READABLE = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin")
_READABLE_FILES = (
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/fonts",
    "/dev/null",
    "/dev/zero",
    "/dev/urandom",
)


class SetupError(Exception):
    """The system does not permit something that the isolation needs."""


def _call(name: str, *arguments: Any) -> None:
    if getattr(_libc(), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise SetupError(f"{name}: {os.strerror(number)}")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def enter_namespaces() -> None:
    """Leave the service's view of users, network, mounts and processes (the last for children)."""
    user, group = os.getuid(), os.getgid()
    flags = _CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWNS | _CLONE_NEWPID | _CLONE_NEWIPC
    _call("unshare", flags)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1", encoding="ascii")


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    encoded = [None if text is None else text.encode() for text in (source, target, kind, options)]
    _call("mount", encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3])


def _bind(source: str, root: str, target: str | None = None, *, writable: bool = False) -> None:
    place = root + (target or source)
    if os.path.isdir(source):
        os.makedirs(place, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb"):
            pass
    _mount(source, place, None, _MS_BIND | _MS_REC)
    if not writable:
        attributes = struct.pack("=QQQQ", _MOUNT_ATTR_RDONLY, 0, 0, 0)
        _call(
            "syscall",
            *(ctypes.c_long(_SYS_MOUNT_SETATTR), ctypes.c_int(_AT_FDCWD), place.encode()),
            *(ctypes.c_uint(_AT_RECURSIVE), attributes, ctypes.c_size_t(len(attributes))),
        )


def _interpreter_folders() -> list[str]:
    found = [sys.prefix, sys.base_prefix, sys.exec_prefix]
    found += [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    kept: list[str] = []
    for path in sorted(
        {os.path.realpath(path) for path in found} | {os.path.abspath(path) for path in found}
    ):
        covered = any(path == parent or path.startswith(parent + "/") for parent in (*kept, *_READABLE))
        if os.path.isdir(path) and not covered:
            kept.append(path)
    return kept


def change_root(root: str, data: str, state: str) -> None:
    """Make `root` (an empty folder) the file system: interpreter, data, state, a little /tmp."""
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    _mount("tmpfs", root, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=64m,nr_inodes=4096,mode=755")
    for path in _READABLE:
        if os.path.islink(path):
            os.symlink(os.readlink(path), root + path)
        elif os.path.isdir(path):
            _bind(path, root)
    for path in _interpreter_folders():
        _bind(path, root)
    for path in _READABLE_FILES:
        if os.path.exists(path):
            _bind(os.path.realpath(path), root, path, writable=path.startswith("/dev/"))
    os.mkdir(root + "/tmp")  # noqa: S108 - the jail's own
    _bind(data, root, "/mnt/data", writable=True)
    _bind(state, root, "/mnt/state", writable=True)
    os.mkdir(root + "/.old")
    pivot_root = _ARCHITECTURES[platform.machine()][1]
    _call("syscall", ctypes.c_long(pivot_root), root.encode(), (root + "/.old").encode())
    os.chdir("/")
    _call("umount2", b"/.old", _MNT_DETACH)
    os.rmdir("/.old")


def give_up_privileges() -> None:
    """No capabilities, and none to be gained by a program with special rights."""
    if sys.platform != "linux":
        return
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    header = struct.pack("=Ii", 0x20080522, 0)
    _call("capset", header, bytes(24))


def filter_system_calls() -> bool:
    """Refuse system calls that code has no use for; False where the architecture is not known."""
    known = _ARCHITECTURES.get(platform.machine()) if sys.platform == "linux" else None
    if known is None:
        return False
    architecture, _, clone, refused = known
    load, equal, at_least, any_bit, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, kill, errno = 0x7FFF0000, 0x80000000, 0x00050000
    program = [
        *((load, 0, 0, 4), (equal, 1, 0, architecture), (answer, 0, 0, kill), (load, 0, 0, 0)),
        # Another calling convention of the same processor would have other numbers.
        *((at_least, 0, 1, 0x40000000), (answer, 0, 0, errno | _EPERM)),
        # The C library falls back to clone, whose flags can be read here.
        *((equal, 0, 1, _SYS_CLONE3), (answer, 0, 0, errno | _ENOSYS)),
    ]
    for number in refused:
        program += [(equal, 0, 1, number), (answer, 0, 0, errno | _EPERM)]
    program += [
        *((equal, 0, 3, clone), (load, 0, 0, 16), (any_bit, 1, 0, _CLONE_THREAD)),
        *((answer, 0, 0, errno | _EPERM), (answer, 0, 0, allow)),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *item) for item in program))
    packed = struct.pack("@HP", len(program), ctypes.addressof(code))
    _call("prctl", _PR_SET_SECCOMP, 2, ctypes.c_char_p(packed), 0, 0)
    return True


def refuse_by_audit_hook(data: str, state: str) -> None:
    """The substitute for namespaces: Python itself refuses sockets, processes and files elsewhere."""
    writable = tuple(os.path.realpath(path) + "/" for path in (data, state))
    readable = (*writable, *(path + "/" for path in (*_READABLE, *_interpreter_folders())))
    files = {"/dev/null", "/dev/urandom", "/etc/localtime"}
    changing: tuple[str, ...] = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink")
    changing += ("os.chmod", "os.chown", "os.truncate", "os.utime", "os.setxattr", "shutil.rmtree")
    refused: tuple[str, ...] = ("socket.", "subprocess.", "os.fork", "os.exec", "os.posix_spawn", "os.system")
    refused += ("os.kill", "os.spawn", "pty.", "ctypes.dlopen", "signal.pthread_kill", "syslog.")

    def inside(path: Any, allowed: tuple[str, ...]) -> bool:
        if isinstance(path, int):
            return True
        real = os.path.realpath(os.fsdecode(path))
        return real in files or (real + "/").startswith(allowed)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = any(sign in (mode or "") for sign in "wax+") or (flags or 0) & (os.O_WRONLY | os.O_RDWR)
            if path is not None and not inside(path, writable if writes else readable):
                raise PermissionError(1, "files outside /mnt/data are not accessible", str(path))
        elif event in ("os.listdir", "os.scandir", "os.chdir"):
            if arguments[0] is not None and not inside(arguments[0], readable):
                raise PermissionError(1, "folders outside /mnt/data are not accessible", str(arguments[0]))
        elif event in changing:
            for path in arguments[: 2 if event in ("os.rename", "os.link", "os.symlink") else 1]:
                if isinstance(path, str | bytes | os.PathLike) and not inside(path, writable):
                    raise PermissionError(1, "files outside /mnt/data are not accessible", str(path))
        elif event.startswith(refused):
            raise PermissionError(1, f"not permitted to executed code: {event}")

    sys.addaudithook(hook)


def limit(request: dict[str, Any]) -> None:
    """Set the limits of the process; nothing that it starts can raise them again."""
    limits = request["limits"]
    values = {
        resource.RLIMIT_CPU: limits["cpu_seconds"],
        resource.RLIMIT_AS: limits["memory_bytes"],
        resource.RLIMIT_FSIZE: limits["file_bytes"],
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_CORE: 0,
    }
    if sys.platform == "linux":
        values[resource.RLIMIT_NPROC] = limits["processes"]
    for name, value in values.items():
        hard = resource.getrlimit(name)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (value, value))


def confined(request: dict[str, Any], source: str) -> None:
    """In the child: lock up, then execute the code."""
    data, state = request["data"], request["state"]
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    report = os.dup(2)
    os.dup2(1, 2)
    try:
        _die_with_parent()
        if request["isolate"]:
            change_root(request["root"], data, state)
            data, state = "/mnt/data", "/mnt/state"
        os.chdir(data)
        namespace: dict[str, Any] = {"__name__": "executor"}
        exec(compile(source, "executor.py", "exec"), namespace)  # noqa: S102 - our own module, no longer in reach
        execute: Callable[[str, str, str], None] = namespace["execute"]
        os.environ.clear()
        os.environ.update(request["environment"])
        os.environ["HOME"] = os.environ["MPLCONFIGDIR"] = os.environ["TMPDIR"] = (
            "/tmp" if request["isolate"] else state  # noqa: S108 - the jail's own
        )
        limit(request)
        give_up_privileges()
        filter_system_calls()
        if not request["isolate"]:
            refuse_by_audit_hook(data, state)
    except (SetupError, OSError) as error:
        os.write(report, (json.dumps({"setup": str(error)}) + "\n").encode())
        os._exit(SETUP_FAILED)
    os.close(report)
    execute(
        request["code"] if request["isolate"] else request["code"].replace("/mnt/data", data), data, state
    )
    os._exit(0)


def _wait(child: int, ended: int, seconds: float) -> tuple[int, str | None]:
    """Wait for the child; returns its status and why it was killed, if it was."""
    deadline = time.monotonic() + seconds
    watched = [0, ended]
    reason: str | None = None
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            if os.WIFSIGNALED(status) and reason is None:
                used = usage.ru_utime + usage.ru_stime
                reason = f"signal {os.WTERMSIG(status)} after {used:.1f} s of processor time"
            return status, reason
        rest = deadline - time.monotonic()
        ready = select.select(watched, [], [], max(0.0, min(rest, 0.2 if ended not in watched else rest)))[0]
        if ended in ready:
            watched.remove(ended)
            time.sleep(0.002)
        if rest <= 0 or (0 in ready and not os.read(0, 4096)):
            reason = "time" if rest <= 0 else "stopped"
            os.kill(child, signal.SIGKILL)
            watched = [ended] if ended in watched else []


def main() -> int:
    """Execute one request."""
    _die_with_parent()
    request = json.loads(sys.stdin.buffer.readline())
    source = (Path(__file__).parent / "executor.py").read_text(encoding="utf-8")
    if request["isolate"]:
        try:
            enter_namespaces()
            _die_with_parent()
        except (SetupError, OSError, AttributeError) as error:
            print(json.dumps({"setup": str(error)}), file=sys.stderr)
            return SETUP_FAILED
    ended, held = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ended)
        confined(request, source)
    os.close(held)
    status, reason = _wait(child, ended, request["limits"]["wall_seconds"])
    code = os.waitstatus_to_exitcode(status)
    if code == SETUP_FAILED:
        return SETUP_FAILED
    print(json.dumps({"exit": code, "reason": reason}), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What executed code tries to reach outside of its jail: files, secrets, processes, networks, the kernel.

Each attack is code that ends with an error, or whose harm would be seen from outside.
"""

from __future__ import annotations

import os
import platform
import socket
import sqlite3
import struct
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents_emulator.tools.sandbox import seccomp
from agents_emulator.tools.sandbox.kept import Kept
from tests.support.jails import execute, needs_jail

pytestmark = needs_jail

SECRET = "sk-planted-secret-4711"

# What the code may use: `call` makes a system call, and raises OSError where it fails.
PRELUDE = f"""
import ctypes, os, sys, socket, subprocess, signal
numbers = {seccomp.refused_numbers(platform.machine()) if sys.platform == "linux" else {}!r}
libc = ctypes.CDLL(None, use_errno=True)
def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def call(name, *arguments):
    longs = [a if isinstance(a, bytes) else ctypes.c_long(a) for a in arguments]
    return check(libc.syscall(ctypes.c_long(numbers[name]), *longs))
"""

# Each must fail with an exception, and say nothing before.
REFUSED = {
    "read /etc/shadow": "print(open('/etc/shadow').read())",
    "read /etc/passwd": "print(open('/etc/passwd').read())",
    "read /proc/1/environ": "print(open('/proc/1/environ', 'rb').read())",
    "read /proc/self/environ": "print(open('/proc/self/environ', 'rb').read())",
    "list /proc of the host": "print(os.listdir('/proc'))",
    "list /sys": "print(os.listdir('/sys'))",
    "list home folders": "print(os.listdir('/home'))",
    "read through a symbolic link": "os.symlink('/etc/shadow', 'link')\nprint(open('link').read())",
    "read with dir_fd": (
        "root = os.open('/mnt', os.O_RDONLY)\n"
        "print(os.read(os.open('../etc/shadow', os.O_RDONLY, dir_fd=root), 100))"
    ),
    "read by dots": "print(open('../../../../../../etc/shadow').read())",
    "os.path.realpath replaced": (
        "os.path.realpath = os.path.abspath = lambda path, **_: '/mnt/data/x'\n"
        "print(open('/etc/shadow').read())"
    ),
    "audit hooks by ctypes.pythonapi": (
        "ctypes.pythonapi.PyRun_SimpleString(b'import sys; sys.addaudithook = None')\n"
        "print(open('/etc/shadow').read())"
    ),
    "write into the interpreter": "open(os.path.join(os.path.dirname(os.__file__), 'planted.py'), 'w')",
    "write into the system's libraries": "open('/usr/lib/planted', 'w')",
    "write into the root folder": "open('/planted', 'w')",
    "write into the program that locks it up": "open('/jail/__main__.py', 'a')",
    "hard link to the interpreter": "os.link(os.__file__, 'linked.py')",
    "make a device of the disk": "os.mknod('disk', 0o060600, os.makedev(254, 0))\nopen('disk', 'rb').read(1)",
    "make a device of the memory": "os.mknod('mem', 0o020600, os.makedev(1, 1))\nopen('mem', 'rb').read(1)",
    "become root": "os.setuid(0)",
    "become root's group": "os.setgroups([0])",
    "a setuid program": "os.execv('/usr/bin/su', ['su', '-c', 'id'])",
    "a shell": "os.execv('/bin/sh', ['sh', '-c', 'echo reached'])",
    "os.system": "if os.system('true') != 0: raise OSError",
    "subprocess": "subprocess.run([sys.executable, '-c', 'print(1)'], check=True)",
    "os.fork": "if os.fork() == 0: os._exit(0)",
    "multiprocessing": "import multiprocessing\nmultiprocessing.Process(target=print).start()",
    "posix_spawn": "os.posix_spawn(sys.executable, ['python'], {})",
    "clone into a namespace": "check(libc.unshare(0x10000000))",
    "a nested user namespace by clone": (
        f"check(libc.syscall(ctypes.c_long({56 if platform.machine() == 'x86_64' else 220}), "
        "ctypes.c_long(0x10000000 | 17), *[ctypes.c_long(0)] * 4))"
    ),
    "clone3": "check(libc.syscall(ctypes.c_long(435), ctypes.c_long(0), ctypes.c_long(88)))",
    "mount": "check(libc.mount(b'none', b'/mnt/data', b'tmpfs', ctypes.c_ulong(0), None))",
    "unmount": "check(libc.umount2(b'/tmp', 2))",
    "chroot": "os.chroot('/')",
    "the kernel's keyring": "call('keyctl', 0, -3, 1)",
    "add a key": "call('add_key', b'user', b'name', b'secret', 6, -3)",
    "ptrace": "call('ptrace', 16, 1, 0, 0)",
    "read the memory of the first process": "call('process_vm_readv', 1, 0, 0, 0, 0, 0)",
    "bpf": "call('bpf', 0, 0, 0)",
    "perf_event_open": "call('perf_event_open', 0, 0, -1, -1, 0)",
    "userfaultfd": "call('userfaultfd', 0)",
    "io_uring": "call('io_uring_setup', 1, 0)",
    "memfd": "os.memfd_create('hidden')",
    "memfd_secret": "call('memfd_secret', 0)",
    "System V shared memory": "call('shmget', 0, 1 << 20, 0o1600)",
    "a filter of its own": "call('seccomp', 1, 0, 0)",
    "a call that the list does not know": "check(libc.syscall(ctypes.c_long(467)))",
    "prctl: PDEATHSIG": "check(libc.prctl(1, 0, 0, 0, 0))",
    "prctl: DUMPABLE": "check(libc.prctl(4, 1, 0, 0, 0))",
    "prctl: PTRACER": "check(libc.prctl(0x59616d61, -1, 0, 0, 0))",
    "prctl: CHILD_SUBREAPER": "check(libc.prctl(36, 1, 0, 0, 0))",
    "keystrokes by TIOCSTI": ("import fcntl\nfor end in range(3): fcntl.ioctl(end, 0x5412, b'x')"),
    "the terminal of the operator": "open('/dev/tty')",
    "a new terminal": "os.openpty()",
    "an internet socket": "socket.create_connection(('192.0.2.1', 80), 1)",
    "a raw socket": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "a netlink socket": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)",
    "a socket of the hypervisor": "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)",
    "a socket of the kernel's ciphers": "socket.socket(38, socket.SOCK_SEQPACKET)",
    "the Docker socket": "socket.socket(socket.AF_UNIX).connect('/var/run/docker.sock')",
    "raise its limits": "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1000, 1000))",
    "change the host's name": "socket.sethostname('planted')",
    "change the clock": "import time\ntime.clock_settime(time.CLOCK_REALTIME, 0)",
}


@pytest.mark.attack
@pytest.mark.parametrize("code", REFUSED.values(), ids=REFUSED)
async def test_refused(code: str, tmp_path: Path) -> None:
    body = "\n    ".join(code.splitlines())
    attack = f"{PRELUDE}\ntry:\n    {body}\n"
    attack += "except BaseException as error:\n    print('refused:', type(error).__name__)\n"
    result = await execute(tmp_path, f"{attack}else:\n    print('REACHED')")
    assert "REACHED" not in result.output
    assert result.output.startswith("refused: "), result.output


@pytest.mark.attack
async def test_every_refused_system_call(tmp_path: Path) -> None:
    """All answer EPERM; with these arguments the kernel itself would answer otherwise, or not at all."""
    code = (
        "left = []\nfor name in numbers:\n    ctypes.set_errno(0)\n"
        "    result = libc.syscall(ctypes.c_long(numbers[name]), *[ctypes.c_long(-1)] * 6)\n"
        "    if result != -1 or ctypes.get_errno() != 1: left.append((name, result, ctypes.get_errno()))\n"
        "print(left, len(numbers) > 50)"
    )
    assert (await execute(tmp_path, PRELUDE + code)).output.startswith("[] True\n")


@pytest.fixture
def listening() -> Iterator[tuple[dict[str, object], list[str]]]:
    """Addresses of sockets of the host, and what arrived there."""
    arrived: list[str] = []
    loopback = socket.create_server(("127.0.0.1", 0))
    abstract = socket.socket(socket.AF_UNIX)
    name = f"\0agents-attack-{uuid.uuid4().hex}"  # one of its own: a child may hold that of the test before
    abstract.bind(name)
    abstract.listen()
    for server, kind in ((loopback, "loopback"), (abstract, "abstract")):
        threading.Thread(target=_accept, args=(server, kind, arrived), daemon=True).start()
    yield {"loopback": loopback.getsockname(), "abstract": name}, arrived
    for server in (loopback, abstract):
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def _accept(server: socket.socket, name: str, arrived: list[str]) -> None:
    try:
        server.accept()
    except OSError:
        return
    arrived.append(name)


@pytest.mark.attack
@pytest.mark.parametrize("kind", ["loopback", "abstract"])
async def test_a_socket_of_the_host(
    kind: str, listening: tuple[dict[str, object], list[str]], tmp_path: Path
) -> None:
    addresses, arrived = listening
    code = (
        f"import socket\naddress = {addresses[kind]!r}\n"
        "family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX\n"
        "s = socket.socket(family)\ns.settimeout(1)\ns.connect(address)\nprint('REACHED')"
    )
    result = await execute(tmp_path, code)
    assert "REACHED" not in result.output
    assert arrived == []


@pytest.mark.attack
@pytest.mark.parametrize(
    "read", ["open(path, encoding='latin-1')", "sqlite3.connect(path).execute('select * from planted')"]
)
async def test_the_database_of_the_service(read: str, tmp_path: Path) -> None:
    database = tmp_path / "service.db"
    with sqlite3.connect(database) as connection:
        connection.execute("create table planted (secret)")
        connection.execute("insert into planted values (?)", (SECRET,))
    code = f"import sqlite3\npath = {str(database)!r}\nfound = {read}\nprint(*found)"
    result = await execute(tmp_path / "thread", code)
    assert SECRET not in result.output
    assert "Error" in result.output


@pytest.mark.attack
@pytest.mark.parametrize(
    "code",
    [
        "import os\nprint(dict(os.environ))",
        "import ctypes\nprint(ctypes.CDLL(None).getenv(b'PLANTED_SECRET'))",
        "import sys\nprint(sys.orig_argv, sys.argv)",
        "import glob\nfor p in glob.glob('/**/environ', recursive=True): print(open(p).read())",
    ],
    ids=["os.environ", "getenv", "argv", "any environ"],
)
async def test_secrets_of_the_environment(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_SECRET", SECRET)
    result = await execute(tmp_path, code)
    assert SECRET not in result.output


@pytest.mark.attack
async def test_files_of_other_threads(tmp_path: Path) -> None:
    await execute(tmp_path / "one", "open('planted-4711', 'w').write('secret')")
    code = (
        "import os\n"
        "for folder, _, names in os.walk('/'):\n"
        "    if 'planted-4711' in names or 'service.db' in names: print(folder)"
    )
    assert (await execute(tmp_path / "two", code)).output == ""


@pytest.mark.attack
async def test_inherited_file_descriptors(tmp_path: Path) -> None:
    """One of the service's files is open and inheritable; the code looks at all its descriptors."""
    (tmp_path / "secret").write_text(SECRET, encoding="utf-8")
    with (tmp_path / "secret").open("rb") as file:
        os.set_inheritable(file.fileno(), True)
        code = (
            "import os\n"
            "for number in range(3, 256):\n"
            "    try: found = os.fstat(number)\n"
            "    except OSError: continue\n"
            "    print(number, oct(found.st_mode))\n"
            "    try: print(os.pread(number, 99, 0))\n"
            "    except OSError: pass"
        )
        result = await execute(tmp_path / "thread", code)
    assert SECRET not in result.output
    # The pipe of the answer is all there is.
    assert [line.split()[1] for line in result.output.splitlines()] == ["0o10600"]


@pytest.mark.attack
@pytest.mark.parametrize(
    "code",
    [
        "import os\nfor pid in range(2, 70000):\n    try: os.kill(pid, 0)\n    except OSError: continue\n"
        "    if pid != os.getpid(): print('SEEN', pid)",
        "import os\nfor number in (9, 15): os.kill(1, number)\nos.kill(os.getppid() or 1, 9)",
        "import os\nos.killpg(0, 0)\nprint(os.getpid() < 10)",
    ],
    ids=["any process", "the first process of the jail", "its group"],
)
async def test_signals(code: str, tmp_path: Path) -> None:
    result = await execute(tmp_path, code)
    assert "SEEN" not in result.output
    assert result.completed, result
    assert "Error" not in result.output or "Operation not permitted" in result.output


@pytest.mark.attack
async def test_root_of_the_host_in_the_jail(tmp_path: Path) -> None:
    """Whatever the service is, the code is nobody, without capabilities and none to gain."""
    code = (
        "import ctypes, os, struct\n"
        "libc = ctypes.CDLL(None)\n"
        "sets = ctypes.create_string_buffer(24)\n"
        "libc.capget(struct.pack('=Ii', 0x20080522, 0), sets)\n"
        "none = sets.raw[:8] == sets.raw[12:20] == bytes(8)\n"
        "print(os.getresuid(), os.getresgid(), os.getgroups() in ([], [65534]), none)\n"
        "print(libc.prctl(39, 0, 0, 0, 0))"
    )
    nobody = (65534,) * 3
    result = await execute(tmp_path, code)
    assert result.output.startswith(f"{nobody} {nobody} True True\n1\n"), result.output


def _answer(program: bytes, audit: int, number: int, arguments: tuple[int, int] = (0, 0)) -> int:
    """What a filter answers to a system call: an interpreter of the part of BPF that it uses."""
    data = struct.pack("=IIQ2Q", number, audit, 0, *arguments)
    steps = list(struct.iter_unpack("=HBBI", program))
    at = word = 0
    while True:
        operation, then, otherwise, value = steps[at]
        at += 1
        if operation == 0x06:
            return int(value)
        if operation == 0x20:
            word = struct.unpack_from("=I", data, value)[0]
        else:
            holds = {0x15: word == value, 0x25: word > value, 0x45: bool(word & value)}[operation]
            at += then if holds else otherwise


@pytest.mark.attack
@pytest.mark.parametrize(
    ("machine", "audit", "clone", "prctl", "ioctl", "read"),
    [("x86_64", 0xC000003E, 56, 157, 16, 0), ("aarch64", 0xC00000B7, 220, 167, 29, 63)],
)
def test_the_filter_of_each_architecture(
    machine: str, audit: int, clone: int, prctl: int, ioctl: int, read: int
) -> None:
    program = seccomp.program(machine)
    assert program is not None
    allowed, refused, absent = 0x7FFF0000, 0x00050001, 0x00050026
    for number in seccomp.refused_numbers(machine).values():
        assert _answer(program, audit, number) == refused
    assert _answer(program, audit, read) == allowed
    assert _answer(program, 0x40000003, read) == 0x80000000  # i386: the process is killed
    assert _answer(program, audit, read | 0x40000000) == absent  # x32
    assert _answer(program, audit, 435) == absent
    assert _answer(program, audit, seccomp.NEWEST + 1) == absent
    assert _answer(program, audit, clone, (0x3D0F00, 0)) == allowed
    assert _answer(program, audit, clone, (17, 0)) == refused
    assert _answer(program, audit, clone, (0x3D0F00 | 0x10000000, 0)) == refused
    assert _answer(program, audit, prctl, (15, 0)) == allowed
    assert _answer(program, audit, prctl, (1, 0)) == refused
    assert _answer(program, audit, ioctl, (0, 0x5413)) == allowed
    assert _answer(program, audit, ioctl, (0, 0x5412)) == refused


@pytest.mark.attack
async def test_a_name_that_the_service_would_trust(tmp_path: Path) -> None:
    """Names of the code never become names of the service's own files."""
    await execute(tmp_path, "open('manifest.json', 'w').write('{}')\nopen('2', 'w')")
    assert sorted(os.listdir(tmp_path)) == ["1"]
    current = Kept(tmp_path).current()
    assert current is not None
    assert sorted(os.listdir(current / "data")) == ["2", "manifest.json"]

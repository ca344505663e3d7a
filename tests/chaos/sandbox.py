"""A machine of our own inside this one: its own network, mounts and process numbers.

Everything the harness starts lives in it, so when its first process ends the kernel ends and removes the rest:
servers, network namespaces, mounts. Nothing outside is named, and nothing can be left behind.

Inside, the clients live in the outermost network; each node, each member of etcd and the proxy have a network
namespace of their own, joined by one bridge.
"""
import ctypes
import fcntl
import os
import signal
import subprocess
import sys

_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x08000000, 0x20000000, 0x40000000
FITHAW = 0xC0045878
PR_SET_PDEATHSIG = 1

BRIDGE = "chaos"
CLIENTS = "10.213.0.1"  # the clients' own address, which no fault cuts off


def run(*command, check=True, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, **options)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done


def refused():
    """Why there can be no sandbox here; empty if there can."""
    if os.geteuid() != 0:
        return "needs root: network namespaces, mounts and other users' processes"
    for program in ("ip", "nsenter", "setpriv", "mount", "etcd"):
        if run("sh", "-c", f"command -v {program}", check=False).returncode:
            return f"needs the program {program}"
    trial = ("mount --make-rprivate /", "mount -t proc proc /proc", "mkdir -p /run/netns",
             "mount -t tmpfs tmpfs /run/netns", "ip link add c0 type bridge", "ip netns add c1",
             "ip link add c2 type veth peer name c3 netns c1")
    tried = run("unshare", "--net", "--mount", "--ipc", "--pid", "--fork", "sh", "-c", " && ".join(trial),
                check=False)
    return "" if tried.returncode == 0 else f"no namespaces here: {tried.stderr.strip()}"


def enter(work, thaw):
    """Runs work() inside and returns its exit status. `thaw` is a list of directories that must not stay frozen."""
    if _libc.unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    first = os.fork()
    if first == 0:
        status = 2
        try:
            status = _first_process(work, thaw)
        finally:
            os._exit(status)

    def pass_on(number, _):
        os.kill(first, number)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    _, status = os.waitpid(first, 0)
    return os.waitstatus_to_exitcode(status)


def _first_process(work, thaw):
    """Process 1 of the sandbox: buries orphans, and takes everything with it when the worker ends."""
    os.setsid()  # a terminal's Ctrl-C comes once, by way of the process outside
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "proc", "proc", "/proc")
    run("mount", "-t", "tmpfs", "tmpfs", "/dev/shm")  # servers that are killed leave their shared memory
    os.makedirs("/run/netns", exist_ok=True)
    run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "addr", "add", CLIENTS + "/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    worker = os.fork()
    if worker == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started without
        try:
            status = work()
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            status = 130
        except SystemExit as end:
            status = end.code
        except BaseException:  # the worker's end is the end of everything: say why
            import traceback
            traceback.print_exc()
            status = 2
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(worker, signal.SIGINT))
    # In order also when the process outside is killed: a frozen disk that nobody thaws stays in the kernel for ever.
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    status = None
    while status is None:
        try:
            pid, ended = os.wait()
        except InterruptedError:
            continue
        if pid == worker:
            status = os.waitstatus_to_exitcode(ended)
    for directory in thaw:
        thaw_directory(directory)
    return status if status >= 0 else 128 - status


def thaw_directory(path):
    """What sleeps on a frozen disk cannot even be killed."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        fcntl.ioctl(descriptor, FITHAW, 0)
    except OSError:
        pass  # not frozen
    finally:
        os.close(descriptor)

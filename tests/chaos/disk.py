"""A volume of its own for a node: an ext4 image on a loop device, which can hang, fill up and lose its power."""
import fcntl
import functools
import os
import pwd
import struct
import tempfile
import time

from sandbox import run, thaw_directory

FIFREEZE = 0xC0045877
EXT4_IOC_SHUTDOWN = 0x8004587D
NOLOGFLUSH = 2  # what has not been flushed is gone, the journal's tail, too


@functools.cache
def why_no_volumes():
    for program in ("mkfs.ext4", "losetup"):
        if run("sh", "-c", f"command -v {program}", check=False).returncode:
            return f"needs the program {program}"
    if os.geteuid() != 0:
        return "needs root"
    with tempfile.TemporaryDirectory() as directory:
        image = directory + "/image"
        with open(image, "wb") as file:
            file.truncate(8 << 20)
        os.mkdir(directory + "/volume")
        run("mkfs.ext4", "-q", "-F", image)
        tried = run("mount", "-o", "loop", image, directory + "/volume", check=False)
        if tried.returncode:
            return f"an image cannot be mounted here: {tried.stderr.strip()}"
        run("umount", directory + "/volume")
    return ""


class Volume:
    def __init__(self, image, directory, megabytes, user):
        """A plain directory without an image."""
        self.image, self.directory, self.user, self.real = image, directory, user, bool(image)
        os.makedirs(directory, exist_ok=True)
        if self.real:
            with open(image, "wb") as file:
                file.truncate(megabytes << 20)
            run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=1", image)
            self.mount()
            os.rmdir(directory + "/lost+found")
        os.chown(directory, *pwd.getpwnam(user)[2:4])
        os.chmod(directory, 0o755)

    def mount(self):
        run("mount", "-o", "loop", self.image, self.directory)

    def _control(self, request, data=0):
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, request, data)
        finally:
            os.close(descriptor)

    def freeze(self):
        self._control(FIFREEZE)

    def thaw(self):
        thaw_directory(self.directory)

    def lose_power(self):
        self._control(EXT4_IOC_SHUTDOWN, struct.pack("=I", NOLOGFLUSH))

    def regain_power(self, timeout=20):
        """Everything that had files open here has to be dead."""
        self.thaw()
        end = time.monotonic() + timeout
        while (done := run("umount", self.directory, check=False)).returncode:
            if time.monotonic() > end:
                raise RuntimeError(f"umount {self.directory}: {done.stderr.strip()}")
            time.sleep(0.1)
        self.mount()

    def fill(self):
        """Leaves nothing. The blocks that only root may use are none (mkfs -m 0)."""
        with open(self.directory + "/ballast", "wb") as file:
            size = 1 << 30
            while size >= 4096:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size)
                except OSError:
                    size //= 2

    def empty(self):
        try:
            os.remove(self.directory + "/ballast")
        except FileNotFoundError:
            pass

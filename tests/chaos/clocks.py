"""The wall clock of each node, by libfaketime (Debian's package faketime) in front of all its processes.

The kernel has no namespace for CLOCK_REALTIME. The monotonic clocks stay as they are: that is what a step of the time
is. Only with --clocks, because a library between every process and its clock is a disturbance of its own.
"""
import glob
import os


class Clocks:
    def __init__(self, directory, wanted):
        self._directory, self._wanted = directory, wanted
        self._library = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)

    def impossible(self):
        if not self._library:
            return "there is no namespace for CLOCK_REALTIME, and libfaketime (package faketime) is not installed"
        return "" if self._wanted else "only with --clocks: libfaketime goes in front of every process"

    def environment(self, names):
        """What the processes of each node are started with."""
        if self.impossible():
            return {}
        for name in names:
            self.set(name, 0)
        return {name: {"LD_PRELOAD": self._library, "FAKETIME_TIMESTAMP_FILE": f"{self._directory}/{name}.clock",
                       "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_RESET": "1"}
                for name in names}

    def set(self, name, seconds):
        path = f"{self._directory}/{name}.clock"
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(f"{seconds:+d}\n")
        os.chmod(path + ".new", 0o644)
        os.replace(path + ".new", path)

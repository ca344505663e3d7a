"""Patroni from Debian, behind HAProxy: the same faults for another product."""


class Patroni:
    name = "patroni"

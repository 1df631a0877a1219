# SPDX-License-Identifier: BSD-3-Clause
"""
A network namespace with one wire to ours, that can be cut: then packets are lost in both directions, and no end hears of
it. Takes root. No program is needed: the wire (a veth pair) is asked of the kernel by hand (rtnetlink(7), netdevice(7)).
"""

import ctypes
import fcntl
import os
import random
import signal
import socket
import struct
import subprocess
import sys

CLONE_NEWNET = 0x40000000
RTM_NEWLINK = 16
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL = 1, 4, 0x400, 0x200
IFLA_IFNAME, IFLA_LINKINFO, IFLA_NET_NS_PID, IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 3, 18, 19, 1, 2, 1
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8913, 0x8914, 0x8916, 0x891C
IFF_UP = 1


def attribute(kind, payload):
    length = 4 + len(payload)
    return struct.pack("=HH", length, kind) + payload + b"\0" * (-length % 4)


def make_wire(name, peer, pid):
    """A veth pair, one end here, the other one in the network namespace of the process."""
    link = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, 0, 0, 0)
    other = link + attribute(IFLA_IFNAME, peer.encode() + b"\0") + attribute(IFLA_NET_NS_PID, struct.pack("=I", pid))
    info = attribute(IFLA_INFO_KIND, b"veth\0") + attribute(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, other))
    body = link + attribute(IFLA_IFNAME, name.encode() + b"\0") + attribute(IFLA_LINKINFO, info)
    flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.send(struct.pack("=IHHII", 16 + len(body), RTM_NEWLINK, flags, 1, 0) + body)
        error = struct.unpack_from("=i", netlink.recv(4096), 16)[0]
    if error:
        raise OSError(-error, os.strerror(-error))


def address(text):
    return struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(text))


def configure(name, ip):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, value in ((SIOCSIFADDR, ip), (SIOCSIFNETMASK, "255.255.255.252")):
            fcntl.ioctl(control, request, struct.pack("16s", name.encode()) + address(value))
    set_up(name, True)


def set_up(name, up):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        flags = struct.unpack_from("=H", fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16s16x", name.encode())), 16)[0]
        flags = flags | IFF_UP if up else flags & ~IFF_UP
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), flags))


class Network:
    """`here` and `there` are the addresses of the wire's ends; `inside` is the prefix of a command that is to run there."""

    def __init__(self):
        number = random.randrange(16, 250 * 64)
        base = f"169.254.{number // 64 + 1}."
        self.here, self.there = (base + str(number % 64 * 4 + i) for i in (1, 2))
        self.name = f"hf{os.getpid() % 100000}a"
        # A process that holds the namespace: it ends when our end of its pipe closes.
        self.holder = subprocess.Popen(
            [sys.executable, __file__, "hold"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if self.holder.stdout.readline() != "held\n":
            self.close()
            raise OSError("no network namespace to be had")
        try:
            make_wire(self.name, "wire", self.holder.pid)
            configure(self.name, self.here)
            self.holder.stdin.write(self.there + "\n")
            self.holder.stdin.flush()
            if self.holder.stdout.readline() != "wired\n":
                raise OSError("the other end of the wire cannot be configured")
        except OSError:
            self.close()
            raise
        self.inside = [sys.executable, __file__, str(self.holder.pid)]

    def cut(self):
        set_up(self.name, False)

    def close(self):
        self.holder.stdin.close()
        self.holder.stdout.close()
        self.holder.wait()


def call(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def main():
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if sys.argv[1] == "hold":
        call(libc.unshare(CLONE_NEWNET))
        print("held", flush=True)
        set_up("lo", True)
        configure("wire", sys.stdin.readline().strip())
        print("wired", flush=True)
        sys.stdin.read()
    else:
        with open(f"/proc/{sys.argv[1]}/ns/net", "rb") as namespace:
            call(libc.setns(namespace.fileno(), CLONE_NEWNET))
        os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()

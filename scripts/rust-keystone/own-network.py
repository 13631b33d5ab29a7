#!/usr/bin/python3
"""Bring up the loopback interface of a new network namespace, and run a program in it.

usage: unshare --net own-network.py PROGRAM [ARGUMENT...]
"""
import fcntl
import os
import socket
import struct
import sys

SIOCSIFFLAGS = 0x8914  # Linux: set the flags of an interface
IFF_UP = 1

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack('16sh22x', b'lo', IFF_UP))
os.execv(sys.argv[1], sys.argv[1:])

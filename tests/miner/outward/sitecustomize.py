"""Notes where a process connects to, in the file that HISTOMINE_CONNECTS names."""

import os
import sys

_FILE = os.environ.get("HISTOMINE_CONNECTS")


def _hook(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.bind"):
        address = args[1] if len(args) > 1 else None
        if isinstance(address, tuple):
            with open(_FILE, "a") as file:
                file.write(f"{event} {address[0]}\n")
    elif event == "socket.getaddrinfo":
        with open(_FILE, "a") as file:
            file.write(f"{event} {args[0]}\n")


if _FILE:
    sys.addaudithook(_hook)

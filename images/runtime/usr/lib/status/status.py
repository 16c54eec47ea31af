"""A web server that tells the machine's state as JSON: GET / on the given port.

It says that it is ready (sd_notify(3)) once its socket listens, logs to standard
error with the level that the log expects, and ends at SIGTERM.
"""

import http.server
import json
import os
import signal
import socket
import sys


def state():
    """What the kernel says of itself and its load, by the files of proc(5)."""
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = dict(line.split(":") for line in file)
    with open("/proc/uptime", encoding="ascii") as file:
        uptime_s = float(file.read().split()[0])
    system = os.uname()
    return {
        "host": system.nodename,
        "kernel": system.release,
        "machine": system.machine,
        "uptime_s": uptime_s,
        "load": os.getloadavg(),
        "memory_kib": int(memory["MemTotal"].split()[0]),
        "available_kib": int(memory["MemAvailable"].split()[0]),
    }


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one connection."""

    timeout = 10

    def do_GET(self):
        if self.path != "/":
            self.send_error(404)
            return
        body = json.dumps(state()).encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        # The level that docs/logging.md has for what is worth a line.
        print(f"<6>{self.client_address[0]} {format % args}", file=sys.stderr, flush=True)


def tell_ready():
    """sd_notify(3), in the few lines that it takes."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.connect(address)
        notify.send(b"READY=1")


def main():
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    with http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Handler) as server:
        server.daemon_threads = True
        tell_ready()
        server.serve_forever()


main()

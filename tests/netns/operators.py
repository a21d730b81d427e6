"""An operator's session: an SSH connection, as far as the kernel and the environment of a process tell of one."""

from __future__ import annotations

from tests.lab import Lab, Line, Router, starts, wait_for

PORT, CLIENT_PORT = 2222, 50222
# Who has come to the port, and stays.
SERVER = f"""
import socket
server = socket.create_server(("", {PORT}))
held, _ = server.accept()
held.recv(1)
"""
CLIENT = f"""
import socket, sys
held = socket.create_connection((sys.argv[1], {PORT}), source_address=("", {CLIENT_PORT}))
held.recv(1)
"""


def come_by(lab: Lab, router: Router, line: Line) -> starts.Process:
    """Have an operator come from the gateway of a line; the client, which ends the session when it is killed."""
    session = f"SSH_CONNECTION={line.isp.gateway} {CLIENT_PORT} {line.source} {PORT}"
    lab.spawn(router.ns.argv("env", session, router.python, "-c", SERVER), "server")
    wait_for("the server", lambda: f":{PORT} " in router.ns.run("ss", "-Hnlt").stdout)
    lab.spawn(line.isp.ns.argv(router.python, "-c", CLIENT, line.source), "client")
    wait_for("the session", lambda: f":{CLIENT_PORT}" in router.ns.run("ss", "-Hnt").stdout)
    return lab.children[-1]


def gone(router: Router) -> bool:
    """Whether the kernel knows no session any more."""
    return f":{CLIENT_PORT}" not in router.ns.run("ss", "-Hnt").stdout

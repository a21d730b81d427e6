"""A small internet in network namespaces: providers with faults to switch, a router, clients."""

from tests.lab.isp import INTERNET4, INTERNET6, Isp, Packet
from tests.lab.lab import Flow, Lab
from tests.lab.monitor import Monitor
from tests.lab.netns import Netns, Object
from tests.lab.process import Done, LabError, run, wait_for
from tests.lab.router import AS_NOBODY, WITHOUT_CAPABILITIES, Line, Router, with_mounts
from tests.lab.topologies import Network

__all__ = [
    "AS_NOBODY",
    "INTERNET4",
    "INTERNET6",
    "WITHOUT_CAPABILITIES",
    "Done",
    "Flow",
    "Isp",
    "Lab",
    "LabError",
    "Line",
    "Monitor",
    "Netns",
    "Network",
    "Object",
    "Packet",
    "Router",
    "run",
    "wait_for",
    "with_mounts",
]

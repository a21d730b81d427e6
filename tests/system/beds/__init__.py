"""Beds: booted Debian systems between simulated providers.  Root, and what tests/run installs, are needed.

    from tests.system.beds import Container, Link

    with Container(binds={"/the/checkout": "/opt/mwan-hook"}, files={"etc/x": "text", "etc/y": Link("x")}) as bed:
        bed.wait_configured("wan1", "wan2")        # networkd has IPv4 and IPv6 on both
        bed.sh("cd /opt/mwan-hook && ./install.sh")            # output; LabError if it fails
        bed.run("systemctl", "is-active", "x", check=False).returncode
        bed.plug(3, "enp0s20u1")                   # provider 3; born usb0, renamed by udev, as a real stick
        bed.unplug("enp0s20u1")
        bed.carrier("wan1", on=False)
        bed.provider[1].fault("blackhole"), .heal(), .broken(...), .seen(), .forget(), .gateway   (tests/lab/isp.py)
        bed.dhcp(2, on=False)                      # DHCP and router advertisements
        bed.renumber(2, "192.168.77.0/24")         # another address and gateway, some seconds later, the link stays up
        bed.wait_lease("wan2", "192.168.77.0/24")
        bed.requests()                             # HTTP that the internet saw: isp, client, port, path
        bed.lan                                    # namespace 192.168.2.10 behind lan0 (192.168.2.1) of the container
        bed.connect(bed.lan, 20), bed.flow(bed.lan)      # who carried the connections
        bed.write({"etc/z": "#!/bin/sh\n"}), bed.journal("-p", "err"), bed.devices(), bed.address("wan1")
        bed.reboot(), bed.reboot(crash=True)       # files stay; kernel objects, /run and processes do not

    with Container(suite="trixie") as bed:         # else that of $MWAN_TEST_SUITE

    with Machine(files={"etc/x": "text"}) as bed:  # enp0s6 and enp0s7 are wired to providers 1 and 2
        name = bed.plug(3)                         # a USB stick; bed.plug(4, port=2) is another one
        bed.unplug(name), bed.carrier("enp0s6", on=False), bed.qmp.call("any QMP command")
        bed.copy(Path("/the/checkout"), "/opt/mwan-hook")
        # and all of the above but binds, lan, reboot; Machine(cold=True) boots instead of resuming

Providers are named isp1 to isp3, their networks are in world.NETWORKS.  `removed=` takes paths out of the image, for
example a masked unit (rootfs.MASKED).  wait-online is enabled and pulled in by nothing; snmpd is installed and
disabled.  A bed is up in two seconds; its images are made by the first one.  Tags are random, several beds stand side
by side; however its owner ends, nothing of it is left after the next bed or laboratory has begun.
"""

from tests.system.beds.container import Container
from tests.system.beds.files import Files, Link
from tests.system.beds.machine import Machine

__all__ = ["Container", "Files", "Link", "Machine"]

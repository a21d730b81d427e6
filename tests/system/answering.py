"""What answers dialled backups, all of it real but the radio and the modem's AT commands, in namespace `provider` of a
virtual machine: a PPPoE and a PPTP concentrator, an access point, the ends of tunnels, a GSM modem, the internet."""

from __future__ import annotations

from pathlib import Path

from tests.lab.process import run
from tests.system.beds import Files

MODEM = """#!/usr/bin/python3
# A GSM modem on a pseudo terminal: AT commands, and after ATD the PPP of a real pppd in namespace `provider`.
import os, pty, subprocess, tty

PPPD = "ip netns exec provider pppd notty nodetach local noauth ms-dns 1.1.1.1 10.67.17.1:10.67.17.2".split()
SETTINGS = open("/etc/isp/gsm.pin").read().split()
master, slave = pty.openpty()
tty.setraw(slave)
os.path.lexists("/dev/ttyUSB0") and os.remove("/dev/ttyUSB0")
os.symlink(os.ttyname(slave), "/dev/ttyUSB0")
log = open("/run/gsm.log", "a", buffering=1)
pin, tries, asked, apn = SETTINGS[0], 3, 0, ""


def answer(line):
    global pin, tries, asked, apn
    if line == "AT+CPIN?":
        return "+CPIN: " + ("READY" if not pin else "SIM PIN" if tries else "SIM PUK") + "\\r\\n\\r\\nOK"
    if line.startswith("AT+CPIN="):
        if line.partition("=")[2].strip('"') == pin and tries:
            pin = ""
            return "OK"
        tries -= 1
        return "+CME ERROR: incorrect password"
    if line == "AT+CREG?":  # it looks for its network for a while
        asked += 1
        return "+CREG: 0,%d\\r\\n\\r\\nOK" % (1 if asked > 2 and not pin else 2)
    if line.startswith("AT+CGDCONT"):
        apn = line
    return "OK" if line.startswith("AT") else "ERROR"


line = b""
while True:
    byte = os.read(master, 1)
    if byte not in b"\\r\\n":
        line += byte
        continue
    text, line = line.decode("latin-1").strip(), b""
    if not text:
        continue
    print(text, file=log)
    if text.startswith("ATD"):
        if '"internet"' in apn and not pin:
            os.write(master, b"\\r\\nCONNECT 7200000\\r\\n")
            subprocess.run(PPPD, stdin=master, stdout=master)
            os.set_blocking(master, True)  # pppd leaves it otherwise
        os.write(master, b"\\r\\nNO CARRIER\\r\\n")
    else:
        os.write(master, b"\\r\\n%s\\r\\n" % answer(text).encode())
"""
# names of links are those of docs/examples
BUILD = """#!/bin/sh -e
modprobe -a pppoe ppp_async ppp_mppe wireguard tun vhci-hcd cdc_mbim
modprobe mac80211_hwsim radios=2
ip netns add provider
ns() { ip netns exec provider "$@"; }
ns sysctl -qw net.ipv4.ip_forward=1
ns ip link set lo up
for a in 1.1.1.1 9.9.9.9 203.0.113.51; do ns ip addr add $a/32 dev lo; done
ip link add enp2s0 type veth peer name line netns provider
ns ip link set line up
ns ip addr add 10.99.0.1/24 dev line
iw phy "$(cat /sys/class/net/wlan1/phy80211/name)" set netns name provider
ns ip addr add 10.77.0.1/24 dev wlan1
run() { systemd-run -q --unit "isp-$1" --property=Restart=no ip netns exec provider sh -c "exec $2"; }
run dhcp "dnsmasq -d -C /dev/null -u root --port=0 -i line -i wlan1 --log-facility=- --no-ping --dhcp-authoritative \\
  --dhcp-leasefile=/run/isp.leases --dhcp-range=10.99.0.50,10.99.0.99 --dhcp-range=10.77.0.50,10.77.0.99"
run pppoe "pppoe-server -F -I line -L 10.67.15.1 -R 10.67.15.100 -N 4 -C acme -O /etc/isp/pppoe"
run pptp "pptpd -f -c /etc/isp/pptpd.conf -p /run/isp-pptp.pid"
run openvpn "openvpn --config /etc/isp/openvpn.conf"
run wifi "hostapd /etc/isp/hostapd.conf"
systemd-run -q --unit isp-gsm /usr/local/sbin/modem
systemd-run -q --unit isp-lte /usr/local/sbin/mbim-stick internet cell0
cd /etc/isp
umask 077
for end in here there; do wg genkey >wg.$end; wg pubkey <wg.$end >wg.$end.pub; done
ns ip link add wg0 type wireguard
ns wg set wg0 listen-port 51820 private-key wg.there peer "$(cat wg.here.pub)" allowed-ips 10.8.0.2/32
ns ip addr add 10.8.0.1/24 dev wg0
ns ip link set wg0 up
until [ -e /sys/class/net/cell0 ]; do sleep 0.1; done
ip link set cell0 netns provider
ns ip link set cell0 up
ns ip route add 10.64.9.2 dev cell0
systemctl start --no-block ModemManager
"""
PPP = "lcp-echo-interval 5\nlcp-echo-failure 3\nms-dns 1.1.1.1\nnoauth\n"
FILES: Files = {
    "usr/local/sbin/modem": MODEM,
    "usr/local/sbin/mbim-stick": (Path(__file__).parent / "mbim_stick.py").read_bytes(),
    "usr/local/sbin/build": BUILD,
    "etc/isp/gsm.pin": "1234\n",
    "etc/mwan-hook/lte.pin": "1234\n",
    "etc/ppp/pap-secrets": '"alice@provider.example" * "secret" *\n',
    "etc/ppp/chap-secrets": '"alice" * "secret" *\n',
    "etc/isp/pppoe": f"{PPP}require-pap\n+ipv6\nmtu 1492\nmru 1492\n",
    "etc/isp/pptp": f"{PPP}refuse-pap\nrefuse-chap\nrefuse-mschap\nrequire-mschap-v2\nrequire-mppe-128\n",
    "etc/isp/pptpd.conf": "option /etc/isp/pptp\nlocalip 10.67.16.1\nremoteip 10.67.16.100-110\nlisten 203.0.113.51\n",
    "etc/isp/openvpn.conf": "cd /etc/isp\nserver 10.9.0.0 255.255.255.0\ntopology subnet\ndev vpn\ndev-type tun\n"
    "local 203.0.113.51\nca isp.crt\ncert isp.crt\nkey isp.key\ndh none\nverify-client-cert none\n"
    "username-as-common-name\nscript-security 2\nauth-user-pass-verify /etc/isp/login via-file\nkeepalive 10 60\n",
    "etc/isp/login": "#!/bin/sh\n[ \"$(tr '\\n' : <$1)\" = alice:secret: ]\n",
    "etc/openvpn/client/provider.ovpn": "client\nremote 203.0.113.51 1194 udp\nca isp.crt\n",
    "etc/isp/hostapd.conf": "interface=wlan1\nssid=neighbour\nhw_mode=g\nchannel=1\nwpa=2\nwpa_key_mgmt=WPA-PSK\n"
    "rsn_pairwise=CCMP\nwpa_passphrase=very secret\n",
}


def certificate(here: Path) -> Files:
    """What the OpenVPN server shows of itself, and what its clients know it by."""
    key, shown = here / "isp.key", here / "isp.crt"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    run([*words, "-days", "3650", "-subj", "/CN=isp", "-keyout", str(key), "-out", str(shown)])
    told = {"etc/isp/isp.key": key, "etc/isp/isp.crt": shown, "etc/openvpn/client/isp.crt": shown}
    return {name: path.read_text() for name, path in told.items()}

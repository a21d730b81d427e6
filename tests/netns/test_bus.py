"""D-Bus with a real dbus-daemon: its clients are busctl, gdbus and a Python program."""

from __future__ import annotations

import itertools
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from jeepney import DBusAddress, HeaderFields, MessageType, Properties, new_error, new_method_call
from jeepney.io.blocking import DBusConnection, open_dbus_connection

from mwan_hook import config
from mwan_hook.model import MwanError, Notice
from mwan_hook.notify.bus import announce, link, names, objects
from mwan_hook.notify.bus import files as busfiles
from mwan_hook.store import files
from mwan_hook.store.files import BUS_POLICIES
from mwan_hook.verdict.notices import AGAIN
from tests.lab.process import LabError, run, spawn, wait_for
from tests.netns.private_bus import NOBODY, PrivateBus, notice, private_bus

ETH0 = DBusAddress(names.path("eth0"), names.bus_name("eth0"), names.DEVICE)


@pytest.fixture
def made() -> Iterator[PrivateBus]:
    """A bus without uplinks."""
    with private_bus() as one:
        yield one


@pytest.fixture
def two(made: PrivateBus) -> PrivateBus:
    """A bus that knows two uplinks; no process of ours is there."""
    made.save(eth0=4, wlan0=2)
    made.poke()
    return made


# ---------------------------------------------------------------- calls


def test_a_call_starts_a_process_that_answers_for_every_interface(two: PrivateBus) -> None:
    assert not two.owner("eth0")
    assert two.connectivity("eth0") == 4
    assert two.owner("eth0") == two.owner("wlan0") != ""
    assert two.connectivity("wlan0") == 2


def test_an_answer_is_what_the_state_file_says_now(two: PrivateBus) -> None:
    for number in (4, 1, 3, 0, 2):
        two.save(eth0=number, wlan0=2)
        assert two.connectivity("eth0") == number


def test_busctl_and_gdbus_find_their_way_by_introspection(two: PrivateBus) -> None:
    tree = two.client("busctl", "tree", "--list", names.bus_name("eth0")).stdout.split()
    assert {names.path("eth0"), names.path("wlan0"), "/io/github"} <= set(tree)
    seen = two.client("busctl", "introspect", names.bus_name("eth0"), names.path("eth0")).stdout
    line = next(line for line in seen.splitlines() if line.startswith(".Connectivity"))
    assert line.split() == [".Connectivity", "property", "u", "4", "emits-change"]
    told = two.client("gdbus", "introspect", "--system", "-d", names.bus_name("wlan0"), "-o", names.path("wlan0"))
    assert "readonly u Connectivity = 2;" in told.stdout
    assert f"interface {names.DEVICE} {{" in told.stdout


def test_a_python_client_gets_values_and_words_for_its_mistakes(two: PrivateBus) -> None:
    with open_dbus_connection(two.address) as client:

        def call(member: str, signature: str, *body: object, interface: str = objects.PROPERTIES) -> object:
            message = new_method_call(ETH0.with_interface(interface), member, signature or None, body)
            reply = client.send_and_get_reply(message, timeout=10)
            if reply.header.message_type is MessageType.error:
                return reply.header.fields[HeaderFields.error_name].rpartition(".")[2]
            return reply.body

        assert call("Get", "ss", names.DEVICE, "Connectivity") == (("u", 4),)
        assert call("GetAll", "s", names.DEVICE) == ({"Connectivity": ("u", 4)},)
        assert call("GetAll", "s", "org.freedesktop.DBus.Peer") == ({},)
        assert call("Ping", "", interface="org.freedesktop.DBus.Peer") == ()
        assert call("Set", "ssv", names.DEVICE, "Connectivity", ("u", 1)) == "PropertyReadOnly"
        assert call("Get", "ss", names.DEVICE, "Speed") == "UnknownProperty"
        assert call("Get", "s", names.DEVICE) == "InvalidArgs"
        assert call("Get", "uu", 1, 2) == "InvalidArgs"
        assert call("Explode", "") == "UnknownMethod"
        assert call("Explode", "", interface=names.DEVICE) == "UnknownMethod"
        gone = Properties(DBusAddress(names.path("eth9"), names.bus_name("eth0"), names.DEVICE))
        reply = client.send_and_get_reply(gone.get("Connectivity"), timeout=10)
        assert reply.header.message_type is MessageType.error
    assert two.connectivity("eth0") == 4  # all from one process, and it is well


def test_interfaces_whose_names_no_bus_name_may_hold_have_underscores(made: PrivateBus) -> None:
    odd = {"eth0.100": 4, "wlx-00:1e": 3, "4g": 2, "br\u00fccke": 1, "a_b": 4}
    made.save_all(odd)
    made.poke()
    assert made.activatable() == {"eth0_100", "wlx_00_1e", "_4g", "br_cke", "a_b"}
    words = [names.element(name) for name in odd]
    assert [made.connectivity(word) for word in words] == list(odd.values())


def test_only_root_owns_the_names_and_no_user_sets_the_property(two: PrivateBus) -> None:
    request = ("busctl", "call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "RequestName", "su")
    assert "denied" in two.client(*request, names.bus_name("eth0"), "0", check=False).stderr
    place = (names.bus_name("eth0"), names.path("eth0"), names.DEVICE)
    refused = two.client("busctl", "set-property", *place, "Connectivity", "u", "1", check=False)
    assert refused.returncode
    assert two.connectivity("eth0") == 4


# ---------------------------------------------------------------- leaving and coming again


def test_it_leaves_without_calls_and_is_started_anew(two: PrivateBus) -> None:
    process = two.serve("--idle", "1.5")
    two.owned()
    first = two.owner("eth0")
    assert two.connectivity("eth0") == 4
    assert two.owner("eth0") == first
    assert process.wait(timeout=10) == 0
    assert not two.owner("eth0")
    assert two.connectivity("eth0") == 4
    assert two.owner("eth0") != first


def test_no_call_is_lost_while_processes_leave(two: PrivateBus) -> None:
    for service in Path(two.root, busfiles.SERVICES).iterdir():
        service.write_text(service.read_text().replace(" bus\n", " bus --idle 0.02\n"))
    reload = ["busctl", "call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "ReloadConfig"]
    run(reload, env={"DBUS_SYSTEM_BUS_ADDRESS": two.address})
    owners: set[str] = set()
    with open_dbus_connection(two.address) as client:
        end = time.monotonic() + 60
        for pause in itertools.cycle(range(15, 36, 3)):  # ms, about when it leaves
            if len(owners) >= 8 or time.monotonic() > end:
                break
            reply = client.send_and_get_reply(Properties(ETH0).get("Connectivity"), timeout=20)
            assert reply.body == (("u", 4),)
            owners.add(reply.header.fields[HeaderFields.sender])
            time.sleep(pause / 1000)
    assert len(owners) == 8


def test_two_processes_do_not_disturb_each_other(two: PrivateBus) -> None:
    first = two.serve("--idle", "3")
    two.owned()
    owner = two.owner("eth0")
    two.serve("--idle", "30")
    time.sleep(0.5)
    assert two.owner("eth0") == owner
    assert first.wait(timeout=10) == 0
    wait_for("the second to have the name", lambda: two.owner("eth0") not in ("", owner))
    assert two.connectivity("eth0") == 4


# ---------------------------------------------------------------- signals


def test_a_transition_is_signalled_without_a_process_that_stays(two: PrivateBus) -> None:
    heard = two.listen("eth0")
    two.save(eth0=1, wlan0=2)
    two.poke(eth0=1)
    wait_for("the signal", lambda: heard.values() == [1])
    assert not two.owner("eth0")
    two.save(eth0=4, wlan0=2)
    two.poke(eth0=1)  # an old transition: the value is that of now
    wait_for("the second signal", lambda: heard.values() == [1, 4])
    assert not two.owner("eth0")


def test_a_call_while_the_signal_is_sent_is_answered_by_who_sends_it(two: PrivateBus) -> None:
    """Programs that see the name appear look at it then; the bus must not start another process for that."""
    with open_dbus_connection(two.address) as client:
        watch = "type='signal',member='NameOwnerChanged',arg0='" + names.bus_name("eth0") + "'"
        client.send_and_get_reply(new_method_call(link.BUS, "AddMatch", "s", (watch,)), timeout=5)
        program = (
            "import sys; from mwan_hook import config\n"
            "from mwan_hook.model import Notice; from mwan_hook.notify.bus import announce as bus\n"
            "bus.deliver(sys.argv[1], config.load(sys.argv[1]), [Notice('1', 'full', interface='eth0')])"
        )
        poking = spawn([sys.executable, "-c", program, two.root], two.log)
        client.receive(timeout=10)
        replies = [client.send_and_get_reply(Properties(ETH0).get("Connectivity"), timeout=10).body for _ in range(5)]
        assert replies == [(("u", 4),)] * 5
        assert poking.wait(timeout=10) == 0
    assert not two.owner("eth0")
    assert "Activating" not in two.log.read_text()


def test_gdbus_monitor_hears_signals(two: PrivateBus) -> None:
    heard = Path(two.root, "monitor")
    argv = ["env", f"DBUS_SYSTEM_BUS_ADDRESS={two.address}", "gdbus", "monitor", "--system", "--dest"]
    listening = spawn([*argv, names.bus_name("eth0")], heard)
    try:
        wait_for("gdbus to listen", lambda: "is owned by" in heard.read_text())  # it starts the process by itself
        two.save(eth0=1, wlan0=2)
        two.poke(eth0=1)
        signal_line = f"PropertiesChanged ('{names.DEVICE}', {{'Connectivity': <uint32 1>}}, @as [])"
        wait_for("the signal", lambda: signal_line in heard.read_text())
    finally:
        listening.kill()
        listening.wait()


def test_a_process_that_is_there_signals_once_however_it_hears(two: PrivateBus) -> None:
    two.serve()
    two.owned()
    heard = two.listen("eth0")
    two.save(eth0=3, wlan0=2)
    wait_for("the signal", lambda: heard.values() == [3])  # from the state file
    two.poke(eth0=3)
    two.save(eth0=1, wlan0=2)
    two.poke(eth0=1)
    two.poke(eth0=1)
    time.sleep(1.5)
    assert heard.values() == [3, 1]


def test_a_process_that_began_after_the_change_signals_it_all_the_same(two: PrivateBus) -> None:
    """Its first look is no news to it, but it is to those who heard the value before."""
    heard = two.listen("eth0")
    two.save(eth0=1, wlan0=2)
    assert two.connectivity("eth0") == 1
    assert heard.values() == []
    two.poke(eth0=1)
    wait_for("the signal", lambda: heard.values() == [1])


def test_signals_of_other_interfaces_are_not_made(two: PrivateBus) -> None:
    heard = two.listen("wlan0")
    two.save(eth0=1, wlan0=2)
    two.poke(eth0=1)
    two.save(eth0=1, wlan0=4)
    two.poke(wlan0=4)
    wait_for("the signal", lambda: heard.values() == [4])


# ---------------------------------------------------------------- names that come and go


def test_names_come_and_go_with_interfaces(two: PrivateBus) -> None:
    assert two.activatable() == {"eth0", "wlan0"}
    heard = two.listen("wlan0")
    two.save(eth0=4, usb0=3)
    two.poke(wlan0=1)
    assert two.activatable() == {"eth0", "usb0"}
    wait_for("the last signal of the one that is gone", lambda: heard.values() == [1])
    assert two.connectivity("usb0") == 3
    with pytest.raises(LabError):
        two.connectivity("wlan0")


def test_a_process_follows_the_interfaces(two: PrivateBus) -> None:
    two.serve()
    two.owned()
    owner = two.owner("eth0")
    two.save(eth0=4, usb0=3)
    two.poke()
    wait_for("the new name", lambda: two.owner("usb0") == owner)
    assert two.connectivity("usb0") == 3
    wait_for("the gone name to be free", lambda: not two.owner("wlan0"))


def test_a_poke_that_changes_nothing_writes_nothing_and_needs_no_bus(two: PrivateBus) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path(two.root, busfiles.PLACE).rglob("*")}
    two.stop()
    two.poke()
    assert {path: path.stat().st_mtime_ns for path in Path(two.root, busfiles.PLACE).rglob("*")} == before


def test_removing_leaves_no_name_and_no_file(two: PrivateBus) -> None:
    announce.remove(two.root)
    assert two.activatable() == set()
    assert not Path(two.root, busfiles.PLACE).exists()
    announce.remove(two.root)


def test_without_our_policy_nothing_is_done(two: PrivateBus) -> None:
    Path(two.root, BUS_POLICIES[0]).unlink()
    two.save(eth0=1, usb0=4)
    before = sorted(Path(two.root, busfiles.SERVICES).iterdir())
    two.poke(eth0=1)
    assert sorted(Path(two.root, busfiles.SERVICES).iterdir()) == before


# ---------------------------------------------------------------- trouble


def test_without_a_state_file_a_call_fails_at_once_and_in_words(two: PrivateBus) -> None:
    Path(two.root, files.STATE).unlink()
    with pytest.raises(LabError, match=f"there is no object {names.path('eth0')}"):
        two.connectivity("eth0")
    two.save(eth0=3)
    assert two.connectivity("eth0") == 3
    Path(two.root, files.STATE).unlink()
    announce.remove(two.root)
    assert two.serve().wait(timeout=10) == 1
    assert "no run has seen an uplink's interface yet" in two.log.read_text()


def test_a_torn_state_file_is_no_state_file(two: PrivateBus) -> None:
    Path(two.root, files.STATE).write_text("{")
    with pytest.raises(LabError, match="there is no object"):
        two.connectivity("eth0")
    two.save(eth0=3)
    two.poke()
    assert two.connectivity("eth0") == 3


@pytest.mark.parametrize(("answers", "words"), [(True, "belongs to another program"), (False, "did not answer")])
def test_a_name_of_another_program_is_said_and_the_others_are_served(
    two: PrivateBus, answers: bool, words: str
) -> None:
    with open_dbus_connection(two.address) as other:
        request = new_method_call(link.BUS, "RequestName", "su", (names.bus_name("eth0"), 0))
        other.send_and_get_reply(request, timeout=5)
        if answers:
            threading.Thread(target=_refuse, args=(other,), daemon=True).start()
        heard = two.listen("wlan0")
        two.save(eth0=1, wlan0=1)
        with pytest.raises(MwanError, match=f"{names.bus_name('eth0')}: .*{words}"):
            _poke_quickly(two)
        wait_for("the other's signal", lambda: heard.values() == [1])
        assert two.connectivity("wlan0") == 1


def _refuse(other: DBusConnection) -> None:
    """What a program does with a method that it does not know."""
    while (call := other.receive(timeout=10)).header.message_type is not MessageType.method_call:
        continue
    other.send(new_error(call, "org.freedesktop.DBus.Error.UnknownMethod"))


def _poke_quickly(two: PrivateBus) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(link, "TIMEOUT", 0.5)
        announce.deliver(two.root, config.load(two.root), [notice("eth0", 1), notice("wlan0", 1)])


def test_the_process_ends_with_the_bus(two: PrivateBus) -> None:
    process = two.serve()
    two.owned()
    assert two.daemon
    two.daemon.kill()
    assert process.wait(timeout=10) == 1
    assert "the system bus is gone" in two.log.read_text()


def test_a_dead_bus_is_an_error_of_the_poke(two: PrivateBus) -> None:
    two.stop()
    with pytest.raises(MwanError, match="cannot reach the system bus"):
        two.poke(eth0=1)
    Path(two.root, "run/dbus/system_bus_socket").unlink()
    two.poke(eth0=1)  # no bus at all: nothing to tell


def test_what_a_dead_bus_could_not_be_told_it_hears_when_others_are_told_again(two: PrivateBus) -> None:
    two.stop()
    two.save(eth0=1, usb0=3)
    with pytest.raises(MwanError, match="cannot reach the system bus"):
        two.poke(eth0=1)
    two.start()
    heard = two.listen("eth0")
    announce.deliver(two.root, config.load(two.root), [Notice("2", AGAIN)])  # nothing in the files has changed
    wait_for("the signal", lambda: heard.values() == [1])
    assert two.activatable() == {"eth0", "usb0"}


def test_a_bus_that_hangs_holds_a_poke_up_no_longer_than_the_time_limit(two: PrivateBus) -> None:
    assert two.daemon
    two.daemon.send_signal(signal.SIGSTOP)
    before = time.monotonic()
    with pytest.raises(MwanError, match="cannot reach the system bus"):
        _poke_quickly(two)
    assert time.monotonic() - before < 2
    two.daemon.send_signal(signal.SIGCONT)
    assert two.connectivity("eth0") == 4


def test_the_command_for_people_needs_neither_bus_nor_root(two: PrivateBus) -> None:
    two.stop()
    argv = [*NOBODY, sys.executable, "-m", "mwan_hook", "--root", two.root, "connectivity-state"]
    assert run(argv).stdout == "IFACE      #   STATE\neth0       4    full\nwlan0      2    portal\n"
    assert run([*argv, "-H"]).stdout == "eth0       4    full\nwlan0      2    portal\n"
    Path(two.root, files.STATE).unlink()
    assert run(argv).stdout == "IFACE      #   STATE\n"

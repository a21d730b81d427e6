"""What is read from sysfs and udev's database."""

from __future__ import annotations

from pyfakefs.fake_filesystem import FakeFilesystem

from mwan_hook.machine.udev import attributes

USB = "/sys/devices/pci0000:00/0000:00:14.0/usb1/1-2"


def test_udevs_database_names_driver_path_id_and_every_property(fs: FakeFilesystem) -> None:
    record = "I:7\nE:ID_NET_DRIVER=cdc_ether\nE:ID_PATH=pci-0000:00:14.0-usb-0:2:1.0\nE:ID_VENDOR_ID=12D1\n"
    fs.create_file("/r/run/udev/data/n7", contents=record + "E:ID_MODEL_ID=14db\nE:ODD=a=b\nE:broken\nG:tag\n")
    found = attributes("/r", "lte", 7)
    assert (found["driver"], found["path"], found["id"]) == ("cdc_ether", "pci-0000:00:14.0-usb-0:2:1.0", "12d1:14db")
    assert found["property:ODD"] == "a=b" and "property:broken" not in found


def test_without_a_record_sysfs_tells_driver_and_usb_id(fs: FakeFilesystem) -> None:
    fs.create_file(f"{USB}/idVendor", contents="12d1\n")
    fs.create_file(f"{USB}/idProduct", contents="14db\n")
    fs.create_dir(f"{USB}/1-2:1.0")
    fs.create_dir("/sys/bus/usb/drivers/rndis_host")
    fs.create_symlink(f"{USB}/1-2:1.0/driver", "/sys/bus/usb/drivers/rndis_host")
    fs.create_symlink("/sys/class/net/usb0/device", f"{USB}/1-2:1.0")
    assert attributes("/", "usb0", 3) == {"driver": "rndis_host", "id": "12d1:14db"}


def test_an_interface_without_any_has_no_attributes(fs: FakeFilesystem) -> None:
    assert attributes("/", "veth0", 9) == {}

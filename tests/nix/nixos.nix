# The options of NixOS that nix/module.nix and its example set or read, with the kinds of values that NixOS takes.
{ lib, pkgs, ... }:
let
  option =
    type: default:
    lib.mkOption {
      inherit type default;
    };
  inherit (lib.types)
    anything
    attrsOf
    bool
    listOf
    package
    str
    ;
  sets = option (attrsOf anything) { };
  packages = option (listOf package) [ ];
  off = option bool false;
in
{
  options = {
    boot.kernel.sysctl = sets;
    environment.etc = sets;
    environment.systemPackages = packages;
    networking.firewall.checkReversePath = option anything true;
    networking.firewall.interfaces = sets;
    networking.hostName = option str "nixos";
    networking.useDHCP = option bool true;
    networking.useNetworkd = off;
    services.dbus.packages = packages;
    services.networkd-dispatcher.enable = off;
    services.networkd-dispatcher.rules = sets;
    services.udev.packages = packages;
    systemd.network.enable = off;
    systemd.network.networks = sets;
    systemd.network.wait-online.anyInterface = off;
    systemd.network.wait-online.enable = option bool true;
    systemd.package = option anything {
      type = "derivation";
      outPath = pkgs.systemd;
      version = "257.9";
    };
    systemd.packages = packages;
    systemd.paths = sets;
    systemd.services = sets;
    systemd.sockets = sets;
    systemd.timers = sets;
    users.groups = sets;
    users.users = sets;
  };
}

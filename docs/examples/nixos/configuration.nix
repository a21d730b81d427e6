# A router with a fixed line and two LTE sticks: docs/nixos.md
{ config, pkgs, ... }:
{
  services.mwan-hook = {
    enable = true;
    settings = {
      router = {
        masquerade = true;
        pin = true;
      };
      # equal metrics share the default: the fixed line four parts, each stick one
      uplinks = {
        fiber = {
          match = "enp1s0";
          metric = 100;
          weight = 4;
          table = 2000;
        };
        # a template: lte@enp0s20u1, lte@enp0s20u2, one for each stick that is plugged in
        lte = {
          match = [
            "driver:cdc_ether"
            "driver:rndis_host"
            "driver:cdc_ncm"
          ];
          metric = 100;
        };
      };
      # a list, because the order counts
      policies = [
        {
          name = "voip";
          proto = "udp";
          dport = [
            5060
            "10000-20000"
          ];
          uplinks = [
            "fiber"
            "lte"
          ];
        }
        {
          name = "mail";
          proto = "tcp";
          dport = [
            25
            465
            587
          ];
          uplinks = "fiber"; # the sticks' addresses are on black lists
          fallback = "unreachable";
        }
        {
          name = "guests";
          from = "192.168.50.0/24";
          uplinks = "lte";
          fallback = "blackhole";
        }
      ];
      hooks.timeout = 10;
    };
    hooks.offline.log = pkgs.writeShellScript "log-offline" ''
      echo "$UPLINK is offline in $FAMILY: $REASON"
    '';
  };

  networking.hostName = "router";
  networking.useDHCP = false;
  networking.useNetworkd = true;
  systemd.network = {
    enable = true;
    networks."10-enp1s0" = {
      matchConfig.Name = "enp1s0";
      networkConfig.DHCP = "yes";
      dhcpV4Config.RouteMetric = 100;
      linkConfig.RequiredForOnline = "no";
    };
    networks."20-lan" = {
      matchConfig.Name = "enp2s0";
      address = [
        "192.168.40.1/24"
        "192.168.50.1/24"
      ];
      networkConfig.DHCPServer = true;
    };
  };
  networking.firewall.interfaces.enp2s0.allowedUDPPorts = [
    53
    67
  ];
  services.networkd-dispatcher.enable = true;
  boot.kernel.sysctl."net.ipv4.ip_forward" = 1;
}

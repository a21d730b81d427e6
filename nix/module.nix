# mwan-hook on NixOS: imports = [ ./mwan-hook/nix/module.nix ]; services.mwan-hook.enable = true;  See docs/nixos.md.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.mwan-hook;
  files = import ./settings.nix;
  units = import ./units.nix;
  networkd = config.systemd.network.enable;

  written = pkgs.writeText "mwan-hook.conf" (
    "# made by NixOS from services.mwan-hook.settings\n" + files.text cfg.settings
  );
  # A mistake ends nixos-rebuild, and no run finds one.
  checked = pkgs.runCommand "mwan-hook-checked.conf" { preferLocalBuild = true; } ''
    mkdir -p root/etc/mwan-hook
    cp ${written} root/etc/mwan-hook/mwan-hook.conf
    ${cfg.package}/bin/mwan-hook --root root config --check
    cp ${written} "$out"
  '';

  # Names for ip(8), which runs do not write here: of tables whose number is in the settings.
  routing = cfg.settings.routing or { };
  shared = toString (routing.default_table or 1000);
  tables =
    lib.optional (shared != "main") "${shared}\tmwan"
    ++ map (one: "${toString one.value.table}\t${one.name}") (
      builtins.filter (one: one.value ? table) (files.sections (cfg.settings.uplinks or { }))
    );
  iproute2 = {
    "iproute2/rt_tables.d/mwan-hook.conf".text = lib.concatMapStrings (one: one + "\n") tables;
    "iproute2/rt_protos.d/mwan-hook.conf".text = "${toString (routing.protocol or 172)}\tmwan\n";
  };

  # The files of ../systemd themselves.
  dropins = {
    "systemd/networkd.conf.d/50-mwan-hook.conf".source = ../systemd/networkd.conf.d/50-mwan-hook.conf;
  }
  // lib.optionalAttrs (lib.versionAtLeast config.systemd.package.version "256") {
    "systemd/networkd.conf.d/51-mwan-hook-nexthops.conf".source =
      ../systemd/networkd-256.conf.d/51-mwan-hook-nexthops.conf;
  };

  hooks = builtins.listToAttrs (
    lib.concatLists (
      lib.mapAttrsToList (
        event: programs:
        lib.mapAttrsToList (name: program: {
          name = "mwan-hook/${event}.d/${name}";
          value.source = program;
        }) programs
      ) cfg.hooks
    )
  );

  triggered = one: { inherit (one) wantedBy; };
in
{
  options.services.mwan-hook = {
    enable = lib.mkEnableOption "mwan-hook, multi-WAN without a daemon";

    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The program.";
    };

    settings = lib.mkOption {
      type = lib.types.attrsOf lib.types.anything;
      default = { };
      example = {
        uplinks.fiber = {
          match = "enp1s0";
          metric = 100;
        };
        policies = [
          {
            name = "voip";
            proto = "udp";
            dport = [
              5060
              "10000-20000"
            ];
            uplinks = [ "fiber" ];
          }
        ];
      };
      description = ''
        Sections and keys of mwan-hook.conf(5).  Sections whose order counts, such as policies, are a list of sets
        with `name`.  What is here can be read by everyone; passwords stay in files (`password_file`, `header_file`).
      '';
    };

    checkSettings = lib.mkOption {
      type = lib.types.bool;
      default = true;
      description = "Whether `mwan-hook config --check` reads the settings when the system is built.";
    };

    hooks = lib.mkOption {
      type = lib.types.attrsOf (lib.types.attrsOf lib.types.path);
      default = { };
      example = lib.literalExpression ''{ offline.tell = pkgs.writeShellScript "tell" "logger $UPLINK: $REASON"; }'';
      description = "Programs by event and name: links in {file}`/etc/mwan-hook/EVENT.d`.";
    };

    path = lib.mkOption {
      type = lib.types.listOf lib.types.package;
      default = [ ];
      example = lib.literalExpression "[ pkgs.modemmanager ]";
      description = "Packages whose programs hooks, repair steps and `start = command:` find.";
    };

    usbNetwork = lib.mkOption {
      type = lib.types.bool;
      default = true;
      description = "Whether networkd gets the file that gives USB modems and phones an address.";
    };
  };

  config = lib.mkIf cfg.enable {
    services.mwan-hook.settings.routing.write_etc = lib.mkDefault false;

    environment.systemPackages = [ cfg.package ];
    environment.etc = {
      "mwan-hook/mwan-hook.conf".source = if cfg.checkSettings then checked else written;
    }
    // iproute2
    // hooks
    // lib.optionalAttrs networkd dropins
    // lib.optionalAttrs (networkd && cfg.usbNetwork) {
      "systemd/network/89-mwan-hook-usb.network".source = ../systemd/network/89-mwan-hook-usb.network;
    };

    systemd.packages = [ cfg.package ];
    systemd.timers = units "timers" triggered;
    systemd.paths = units "paths" triggered;
    systemd.sockets = units "sockets" triggered;
    systemd.services = lib.mkMerge [
      (units "services" (one: {
        inherit (one) wantedBy;
        path = [ pkgs.nftables ] ++ cfg.path;
      }))
      (lib.mkIf networkd {
        systemd-networkd.restartTriggers = map (one: one.source) (builtins.attrValues dropins);
      })
      # After an interface, which may be the LAN's, an uplink: a minute at most, and no failure.
      (lib.mkIf (networkd && config.systemd.network.wait-online.enable) {
        systemd-networkd-wait-online.serviceConfig.ExecStartPost = [
          "-${cfg.package}/sbin/mwan-hook wait-online --timeout 60"
        ];
      })
    ];
    systemd.network.wait-online.anyInterface = lib.mkDefault true;

    services.udev.packages = [ cfg.package ];
    services.dbus.packages = [ cfg.package ];
    # Has a use where services.networkd-dispatcher.enable is set; of its states those that NixOS knows.
    services.networkd-dispatcher.rules."50-mwan-hook" = {
      onState = [
        "carrier"
        "configured"
        "configuring"
        "degraded"
        "dormant"
        "enslaved"
        "no-carrier"
        "off"
        "routable"
      ];
      script = "exec ${cfg.package}/lib/mwan-hook/spool-event";
    };

    users.users.mwan-hook = {
      description = "mwan-hook";
      isSystemUser = true;
      group = "mwan-hook";
      home = "/run/mwan-hook";
      extraGroups = [
        "systemd-journal"
        "systemd-network"
      ];
    };
    users.groups.mwan-hook = { };

    # What comes in by one uplink while the kernel would answer by another is no forgery.
    networking.firewall.checkReversePath = lib.mkDefault "loose";
  };
}

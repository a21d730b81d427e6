# A system made of a configuration, laid out as NixOS lays out what mwan-hook has to do with: its tree is a --root.
{
  configuration,
  lib ? import ./lib.nix,
  pkgs ? import ./pkgs.nix,
}:
let
  inherit
    (lib.evalModules {
      modules = [
        ./nixos.nix
        ../../nix/module.nix
        configuration
      ];
      specialArgs = { inherit pkgs; };
    })
    config
    ;
  each = set: make: lib.concatMapStrings (name: make name set.${name}) (builtins.attrNames set);

  etc = each config.environment.etc (
    place: one: ''
      mkdir -p "$out/etc/$(dirname '${place}')"
      ln -s ${one.source or (pkgs.writeText (baseNameOf place) one.text)} "$out/etc/${place}"
    ''
  );

  # Of a unit that a package brings NixOS makes a drop-in.
  unit =
    suffix: lines: name: one:
    ''
      mkdir -p "$out/etc/systemd/system/${name}.${suffix}.d"
      printf '%s\n' ${lines one} >"$out/etc/systemd/system/${name}.${suffix}.d/overrides.conf"
    ''
    + lib.concatMapStrings (by: ''
      mkdir -p "$out/etc/systemd/system/${by}.wants"
      ln -s "../${name}.${suffix}" "$out/etc/systemd/system/${by}.wants/"
    '') (one.wantedBy or [ ]);
  service = one: "'[Service]' 'Environment=\"PATH=${lib.makeBinPath ((one.path or [ ]) ++ [ pkgs.coreutils ])}\"'";

  rules = each config.services.networkd-dispatcher.rules (
    name: rule:
    lib.concatMapStrings (state: ''
      mkdir -p "$out/scripts/${state}.d"
      ln -s ${pkgs.writeShellScript name rule.script} "$out/scripts/${state}.d/${name}"
    '') rule.onState
  );
in
{
  inherit config;
  system = pkgs.runCommand "system" { } ''
    ${etc}
    mkdir -p "$out/etc/systemd/system" "$out/etc/udev/rules.d" "$out/run/current-system/sw/share/dbus-1" "$out/run/current-system/sw/bin"
    ln -s ${config.systemd.package} "$out/run/current-system/systemd"
    for package in ${toString config.systemd.packages}; do cp -R "$package/lib/systemd/system/." "$out/etc/systemd/system/"; done
    chmod -R u+w "$out/etc/systemd/system"
    for package in ${toString config.services.udev.packages}; do cp "$package/lib/udev/rules.d/"* "$out/etc/udev/rules.d/"; done
    for package in ${toString config.services.dbus.packages}; do
      cp -R "$package/share/dbus-1/system.d" "$out/run/current-system/sw/share/dbus-1/"
    done
    for package in ${toString config.environment.systemPackages}; do ln -s "$package/bin/"* "$out/run/current-system/sw/bin/"; done
    ${each config.systemd.services (unit "service" service)}
    ${each config.systemd.timers (unit "timer" (_: "'[Timer]'"))}
    ${each config.systemd.paths (unit "path" (_: "'[Path]'"))}
    ${each config.systemd.sockets (unit "socket" (_: "'[Socket]'"))}
    ${rules}
  '';
}

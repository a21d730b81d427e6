# A stand-in for nixpkgs' packages: the programs of this machine, and derivations that its shell builds.
let
  lib = import ./lib.nix;
  host = "/usr";

  built =
    name: values: script:
    derivation (
      {
        inherit name;
        system = builtins.currentSystem;
        builder = "/bin/bash";
        args = [
          "-euo"
          "pipefail"
          "-c"
          (script + "\n:\n") # the shell stays until the end: Nix kills a last program that closes its output
        ];
        PATH = "/usr/bin:/bin:/usr/sbin:/sbin";
      }
      // values
    );

  known = builtins.listToAttrs (
    map
      (name: {
        inherit name;
        value = name;
      })
      [
        "configobj"
        "dnspython"
        "filelock"
        "jeepney"
        "pyroute2"
        "requests"
      ]
  );

  pkgs = {
    inherit lib;
    coreutils = host;
    gnugrep = host;
    gnused = host;
    nftables = host;
    util-linux = host;
    systemd = host;

    python3 = {
      type = "derivation";
      outPath = host;
      interpreter = "${host}/bin/python3";
      sitePackages = "lib/python3/dist-packages";
      withPackages = choose: builtins.seq (builtins.deepSeq (choose known) null) host;
    };

    # What stdenv does between the phases that package.nix has, without its own fixup.
    stdenvNoCC.mkDerivation =
      values:
      built "${values.pname}-${values.version}"
        (removeAttrs values [
          "meta"
          "nativeBuildInputs"
          "pname"
          "doInstallCheck"
          "dontBuild"
          "dontConfigure"
        ])
        ''
          runHook() { :; }
          cp -R "$src" source
          chmod -R u+w source
          cd source
          for phase in postPatch installPhase installCheckPhase; do eval "''${!phase}"; done
        '';

    writeText = name: text: built name { inherit text; } ''printf %s "$text" >"$out"'';
    writeShellScript =
      name: text: built name { inherit text; } ''printf '#!/bin/bash\n%s' "$text" >"$out" && chmod 555 "$out"'';
    runCommand = name: values: script: built name (removeAttrs values [ "preferLocalBuild" ]) script;
    callPackage = lib.callPackageWith pkgs;
  };
in
pkgs

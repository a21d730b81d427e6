# The program as ./install.sh lays it down, below $out: pkgs.callPackage ./package.nix { }
{
  lib,
  stdenvNoCC,
  python3,
  coreutils,
  gnugrep,
  gnused,
  systemd,
  util-linux,
}:

let
  modules = python3.withPackages (packages: [
    packages.configobj
    packages.dnspython
    packages.filelock
    packages.jeepney
    packages.pyroute2
    packages.requests
  ]);
  # what the scripts that udev, networkd-dispatcher and systemd start call by name
  tools = lib.makeBinPath [
    coreutils
    gnugrep
    gnused
    systemd
  ];
  version = builtins.head (
    builtins.match ".*__version__ = \"([^\"]*)\".*" (builtins.readFile ../lib/mwan_hook/__init__.py)
  );
in
stdenvNoCC.mkDerivation {
  pname = "mwan-hook";
  inherit version;

  src = builtins.path {
    name = "mwan-hook-source";
    path = ../.;
    filter =
      path: type:
      !builtins.elem (baseNameOf path) [
        ".git"
        ".hypothesis"
        "__pycache__"
        "debian"
        "nix"
        "result"
        "tests"
      ];
  };

  nativeBuildInputs = [
    python3
    util-linux # flock, for install.sh
  ];

  dontConfigure = true;
  dontBuild = true;

  # -S spares a quarter of the start of each run, but then the directory with the modules has to be named, which
  # install.sh does for Debian's.
  postPatch = ''
    sed -i -e 's|/usr/bin/python3|${python3.interpreter}|g' \
        -e 's|^debian=.*|debian=${modules}/${python3.sitePackages}|' install/python.sh
    sed -i '1a PATH=${tools}:$PATH' hooks/bring-up hooks/spool-event
    sed -i 's|=\(+\{0,1\}\)/bin/sleep |=\1${coreutils}/bin/sleep |' systemd/*.service
  '';

  installPhase = ''
    runHook preInstall
    DESTDIR=$PWD/whole sh ./install.sh install --prefix="$out" --no-start
    mkdir -p "$out/lib/systemd" "$out/lib/udev" "$out/share/dbus-1"
    cp -R "whole$out/." "$out/"
    cp -R whole/etc/systemd/system "$out/lib/systemd/"
    cp -R whole/etc/udev/rules.d "$out/lib/udev/"
    cp -R whole/etc/dbus-1/system.d "$out/share/dbus-1/"
    # NixOS makes the user, and the module says what the boot waits for (elsewhere a generator does)
    rm "$out/lib/mwan-hook/manifest" "$out/lib/systemd/system/mwan-hook-user.service"
    mv "$out/sbin/mwan-hook" "$out/bin/"
    rmdir "$out/sbin"
    ln -s bin "$out/sbin"
    # the store sets all times to 1970: what Python compiles must not be compared with them
    find "$out/lib/mwan-hook" -name __pycache__ -prune -exec rm -r {} +
    ${python3.interpreter} -I -m compileall -q --invalidation-mode unchecked-hash "$out/lib/mwan-hook/mwan_hook"
    runHook postInstall
  '';

  doInstallCheck = true;
  installCheckPhase = ''
    runHook preInstallCheck
    "$out/bin/mwan-hook" --version
    ! grep -rI '/usr/sbin/mwan-hook\|/usr/lib/mwan-hook' "$out/lib/systemd" "$out/lib/udev" "$out/bin"
    runHook postInstallCheck
  '';

  meta = {
    description = "Multi-WAN for Linux machines with systemd-networkd, without a daemon";
    license = lib.licenses.mit;
    mainProgram = "mwan-hook";
    platforms = lib.platforms.linux;
  };
}

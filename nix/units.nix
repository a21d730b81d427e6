# The units of ../systemd: their names, kinds, and what wants them.  NixOS takes unit files from a package, but leaves
# their [Install] sections aside, so these are read here and said again by the module.
let
  inherit (builtins)
    attrNames
    concatMap
    elemAt
    filter
    isString
    map
    match
    readDir
    readFile
    split
    ;

  directory = ../systemd;
  parts = separator: text: filter (one: isString one && one != "") (split separator text);
  said = key: text: concatMap (found: parts " " (elemAt found 0)) (
    filter (found: found != null) (map (match "${key}=(.*)") (parts "\n" text))
  );
  kinds = {
    service = "services";
    timer = "timers";
    path = "paths";
    socket = "sockets";
  };

  unit =
    file:
    let
      found = match "(mwan-hook-.*)[.](service|timer|path|socket)" file;
    in
    if found == null then
      [ ]
    else
      [
        {
          name = elemAt found 0;
          kind = kinds.${elemAt found 1};
          wantedBy = said "WantedBy" (readFile (directory + "/${file}"));
        }
      ];

  # NixOS makes the services' user itself.
  all = filter (one: one.name != "mwan-hook-user") (concatMap unit (attrNames (readDir directory)));
in
# kind: a set of units by their names, each made by `values` from what is known of it
kind: values:
builtins.listToAttrs (
  map (one: {
    inherit (one) name;
    value = values one;
  }) (filter (one: one.kind == kind) all)
)

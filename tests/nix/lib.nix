# A small stand-in for nixpkgs' lib, where that cannot be had: what nix/ uses of it, and modules that are merged by the
# rules of NixOS' manual (conditions are pushed down to options, priorities, lists are appended, no unknown option).
let
  inherit (builtins)
    all
    any
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elemAt
    filter
    foldl'
    functionArgs
    head
    intersectAttrs
    isAttrs
    isBool
    isFunction
    isInt
    isList
    isPath
    isString
    length
    map
    mapAttrs
    ;

  kind = value: if isAttrs value then value._type or "" else "";
  isDerivation = value: isAttrs value && value.type or "" == "derivation";
  isPlainSet = value: isAttrs value && kind value == "" && !isDerivation value;
  unique = foldl' (known: one: if builtins.elem one known then known else known ++ [ one ]) [ ];

  # ---------------------------------------------------------------- definitions

  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  plain = 100;
  fallback = 1500;

  # Sets of options' definitions; a condition goes to each of them, and is not asked for here.
  sets =
    value:
    if kind value == "if" then
      map (mapAttrs (_: mkIf value.condition)) (sets value.content)
    else if kind value == "merge" then
      concatMap sets value.contents
    else if kind value == "override" then
      map (mapAttrs (_: mkOverride value.priority)) (sets value.content)
    else
      [ value ];

  # Values with their priorities.
  values =
    value:
    if kind value == "if" then
      (if value.condition then values value.content else [ ])
    else if kind value == "merge" then
      concatMap values value.contents
    else if kind value == "override" then
      map (one: one // { inherit (value) priority; }) (values value.content)
    else
      [
        {
          inherit value;
          priority = plain;
        }
      ];

  strongest =
    given:
    let
      best = foldl' (low: one: if one.priority < low then one.priority else low) fallback given;
    in
    map (one: one.value) (filter (one: one.priority == best) given);

  merged =
    place: given:
    let
      found = strongest given;
      first = head found;
    in
    if found == [ ] then
      throw "${place} is used but not set"
    else if all isPlainSet found then
      mapAttrs (
        name: _: merged "${place}.${name}" (concatMap (one: if one ? ${name} then values one.${name} else [ ]) found)
      ) (foldl' (names: one: names // one) { } found)
    else if all isList found then
      concatLists found
    else if length (unique found) == 1 then
      first
    else
      throw "${place} is set twice, and not to the same";

  evaluated =
    place: options: given:
    if kind options == "option" then
      let
        default = if options ? default then [ (mkOverride fallback options.default) ] else [ ];
        value = merged place (concatMap values (default ++ given));
      in
      if options.type.check value then value else throw "${place} is no ${options.type.name}"
    else
      let
        definitions = concatMap sets given;
        unknown = filter (name: !(options ? ${name})) (concatMap attrNames definitions);
      in
      if unknown != [ ] then
        throw "there is no option ${place}.${head unknown}"
      else
        mapAttrs (
          name: option: evaluated "${place}.${name}" option (map (one: one.${name}) (filter (one: one ? ${name}) definitions))
        ) options;

  declared =
    one: two:
    if kind one == "option" || kind two == "option" then
      throw "an option is declared twice"
    else
      one // two // mapAttrs (name: value: declared one.${name} value) (intersectAttrs one two);

  loaded = arguments: module: if isFunction module then module arguments else if isPath module then loaded arguments (import module) else module;

  # ---------------------------------------------------------------- types

  type = name: check: { inherit name check; };
  isPathLike = value: isPath value || isDerivation value || (isString value && builtins.substring 0 1 value == "/");
in
rec {
  inherit mkIf mkMerge concatLists;
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
  mkOption = option: option // { _type = "option"; };
  mkEnableOption =
    what:
    mkOption {
      type = types.bool;
      default = false;
      description = "Whether to enable ${what}.";
    };
  literalExpression = text: { inherit text; };

  types = {
    anything = type "value" (_: true);
    bool = type "boolean" isBool;
    str = type "string" isString;
    lines = types.str;
    path = type "path" isPathLike;
    package = type "package" isPathLike;
    listOf = inner: type "list of ${inner.name}" (value: isList value && all inner.check value);
    attrsOf = inner: type "set of ${inner.name}" (value: isPlainSet value && all inner.check (attrValues value));
  };

  evalModules =
    { modules, specialArgs }:
    let
      found = map (loaded (specialArgs // { inherit config lib; })) modules;
      lib = import ./lib.nix;
      options = foldl' declared { } (map (one: one.options or { }) found);
      given = map (one: one.config or (removeAttrs one [ "options" ])) found;
      config = evaluated "config" options given;
    in
    {
      inherit config options;
    };

  callPackageWith =
    all: file: given:
    let
      package = import file;
    in
    package (intersectAttrs (functionArgs package) all // given);

  optional = condition: value: if condition then [ value ] else [ ];
  optionalAttrs = condition: value: if condition then value else { };
  concatMapStrings = make: list: concatStringsSep "" (map make list);
  mapAttrsToList = make: set: map (name: make name set.${name}) (attrNames set);
  makeBinPath = packages: concatStringsSep ":" (map (one: "${one}/bin") packages);
  versionAtLeast = one: two: builtins.compareVersions one two >= 0;
  licenses.mit = { };
  platforms.linux = [ ];
}

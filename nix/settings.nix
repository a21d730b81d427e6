# Settings as attribute sets, to the text of mwan-hook.conf(5).  Builtins only, so that it can be tried alone:
# nix-instantiate --eval --strict -E '(import ./settings.nix).text { routing.main_first = false; }'
let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    elemAt
    filter
    isAttrs
    isBool
    isFloat
    isInt
    isList
    isPath
    isString
    map
    match
    ;

  plain = text: match "[A-Za-z0-9_.:/@*+%?&=-]+" text != null;

  quoted =
    text:
    if match ".*[\n\r].*" text != null then
      throw "mwan-hook: a setting has no line breaks: ${text}"
    else if plain text then
      text
    else if match "[^\"]*" text != null then
      "\"${text}\""
    else if match "[^']*" text != null then
      "'${text}'"
    else
      throw "mwan-hook: a setting may hold \" or ', not both: ${text}";

  word =
    value:
    if isBool value then
      (if value then "yes" else "no")
    else if isInt value then
      toString value
    else if isFloat value then
      builtins.toJSON value
    else if isPath value then
      quoted "${value}"
    else if isString value then
      quoted value
    else
      throw "mwan-hook: a setting is a string, a number, a path, true, false, null, or a list of such";

  line = name: value: "${quoted name} = ${if isList value then words value else word value}";
  words = values: if values == [ ] then "\"\"" else concatStringsSep ", " (map word values);

  # Sections in their order: of an attribute set that of the alphabet, of a list of sets with `name` its own.
  sections =
    values:
    if isList values then
      map (one: {
        inherit (one) name;
        value = removeAttrs one [ "name" ];
      }) values
    else
      map (name: {
        inherit name;
        value = values.${name};
      }) (attrNames values);

  isSection = value: isAttrs value || (isList value && value != [ ] && isAttrs (elemAt value 0));
  brackets = depth: bracket: concatStringsSep "" (builtins.genList (_: bracket) depth);

  # Keys first: what stands behind a section's name belongs to that section.
  lines =
    depth: values:
    let
      given = filter (one: one.value != null) (sections values);
      indent = brackets (if depth > 1 then depth - 1 else 0) "  ";
    in
    map (one: indent + line one.name one.value) (filter (one: !isSection one.value) given)
    ++ concatMap (
      one:
      let
        inner = depth + 1;
      in
      [ (brackets depth "  " + brackets inner "[" + quoted one.name + brackets inner "]") ] ++ lines inner one.value
    ) (filter (one: isSection one.value) given);
in
{
  inherit sections;
  text = settings: concatStringsSep "" (map (one: one + "\n") (lines 0 settings));
}

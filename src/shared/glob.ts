/** `*`, `?` and `[...]` as a shell matches names. */
export function matchesGlob(pattern: string, name: string): boolean {
  if (!/[*?[]/.test(pattern)) return pattern === name;
  const source = pattern.replace(/\[!?[^\]]+\]|[\s\S]/g, (part) => {
    if (part === "*") return ".*";
    if (part === "?") return ".";
    if (part.length > 1) return part.replace(/^\[!/, "[^").replace(/\\/g, "\\\\");
    return part.replace(/[\\^$.+()[\]{}|]/, "\\$&");
  });
  return new RegExp(`^${source}$`, "s").test(name);
}

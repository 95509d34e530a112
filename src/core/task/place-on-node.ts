import { WORKDIR_ON_NODE } from "./workdir-on-node.ts";

/** Where agents keep what belongs outside of HOME and /tmp; a link leads there. */
const OUTSIDE = "~/.sky/file_mounts";

/**
 * Where a destination of a task is on its nodes, always written alike, and as agents resolve it: `~`, `~/…` or `/tmp/…`. Without `home` a
 * path that names HOME by its own path is taken for one outside of it.
 */
export function placeOnNode(destination: string, home?: string): string {
  const isWhole = destination === "~" || /^~?\//u.test(destination);
  const written = isWhole ? destination : `${WORKDIR_ON_NODE}/${destination}`;
  if (written.startsWith("~") && home === undefined) return `~${normalize(written.slice(1))}`;
  const path = normalize(written.replace(/^~/u, () => home ?? ""));
  const inHome = home === undefined ? undefined : pathBelow(path, normalize(home));
  if (inHome !== undefined) return inHome === "" ? "~" : `~/${inHome}`;
  return path.startsWith("/tmp/") ? path : `${OUTSIDE}${path}`;
}

/** The rest of a place that is at or below another: "" = it is the same one, undefined = it is elsewhere. Both as `placeOnNode` writes them. */
export function pathBelow(place: string, folder: string): string | undefined {
  if (place === folder) return "";
  return place.startsWith(`${folder}/`) ? place.slice(folder.length + 1) : undefined;
}

/** "" for the root. */
function normalize(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.map((part) => `/${part}`).join("");
}

/**
 * Which files of a directory are uploaded: one engine for every hop (client → server zip, server → node sync). Pure; the
 * caller reads the disk. How to walk a tree:
 *
 *   const files = ignoreFilesOf(hasSkyignoreInRoot);              // which ignore files count
 *   let stack = rootIgnoreStack(text of files.exclude or "");     // .git/info/exclude, when it counts
 *   for each directory, root first: stack = enterDirectory(stack, dir, text of dir/files.name or undefined)
 *   for each entry: if (isIgnored(stack, path, isDirectory)) skip it, and do not descend.
 *
 * Paths are relative to the root, `/`-separated, without leading or trailing slash; the root itself is "". A symbolic link is
 * never a directory here. `.git` is not ignored by default.
 */
import { parseIgnoreText, type IgnoreRule } from "./pattern.ts";

interface Layer {
  readonly directory: string;
  readonly rules: readonly IgnoreRule[];
}

/** The ignore files from the root down to one directory; immutable, so that siblings can share it. */
export interface IgnoreStack {
  readonly layers: readonly Layer[];
}

export interface IgnoreFiles {
  /** Name of the ignore file looked for in every directory. */
  readonly name: ".skyignore" | ".gitignore";
  /** One more file, relative to the root, with the lowest precedence. */
  readonly exclude: ".git/info/exclude" | undefined;
}

/** A `.skyignore` in the root replaces every git ignore file. */
export function ignoreFilesOf(hasSkyignoreInRoot: boolean): IgnoreFiles {
  return hasSkyignoreInRoot
    ? { name: ".skyignore", exclude: undefined }
    : { name: ".gitignore", exclude: ".git/info/exclude" };
}

/** Starts a walk; `excludeText` is the content of `.git/info/exclude`, empty when there is none. */
export function rootIgnoreStack(excludeText = ""): IgnoreStack {
  const rules = parseIgnoreText(excludeText);
  return { layers: rules.length > 0 ? [{ directory: "", rules }] : [] };
}

/** The stack inside `directory`, whose own ignore file has the content `text` (undefined: it has none). */
export function enterDirectory(stack: IgnoreStack, directory: string, text: string | undefined): IgnoreStack {
  if (text === undefined) return stack;
  const rules = parseIgnoreText(text);
  return rules.length > 0 ? { layers: [...stack.layers, { directory, rules }] } : stack;
}

/** Says whether the entry is left out. The deepest file that names it decides, and in a file the last line. */
export function isIgnored(stack: IgnoreStack, path: string, isDirectory: boolean): boolean {
  for (let l = stack.layers.length - 1; l >= 0; l--) {
    const layer = stack.layers[l];
    if (layer === undefined) continue;
    const relative = layer.directory === "" ? path : path.slice(layer.directory.length + 1);
    for (let r = layer.rules.length - 1; r >= 0; r--) {
      const rule = layer.rules[r];
      if (rule === undefined || (rule.isDirectoryOnly && !isDirectory)) continue;
      if (rule.matches(relative)) return !rule.isNegated;
    }
  }
  return false;
}

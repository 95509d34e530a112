/**
 * Which files of a directory are uploaded: one engine for every hop (client → server zip, server → node sync). Pure; the
 * caller reads the disk. How to walk a tree:
 *
 *   let { fileName, stack } = answers to findRootRules(root, "/")  // which ignore files count, and those around the root
 *   for each directory, root first: stack = enterDirectory(stack, dir, text of dir/fileName or undefined)
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

/** The ignore files that count in one directory, outermost first; immutable, so that siblings can share it. */
export interface IgnoreStack {
  /** The root's path in the repository around it, in which the layers' directories are; "" when there is none around it. */
  readonly base: string;
  readonly layers: readonly Layer[];
}

/** Before any ignore file is read. */
export const noIgnoreRules: IgnoreStack = { base: "", layers: [] };

/** The stack inside `directory`, whose own ignore file has the content `text` (undefined: it has none). */
export function enterDirectory(stack: IgnoreStack, directory: string, text: string | undefined): IgnoreStack {
  if (text === undefined) return stack;
  const rules = parseIgnoreText(text);
  if (rules.length === 0) return stack;
  return { ...stack, layers: [...stack.layers, { directory: inside(stack.base, directory), rules }] };
}

/** Says whether the entry is left out. The deepest file that names it decides, and in a file the last line. */
export function isIgnored(stack: IgnoreStack, path: string, isDirectory: boolean): boolean {
  const whole = inside(stack.base, path);
  for (let l = stack.layers.length - 1; l >= 0; l--) {
    const layer = stack.layers[l];
    if (layer === undefined) continue;
    const relative = layer.directory === "" ? whole : whole.slice(layer.directory.length + 1);
    for (let r = layer.rules.length - 1; r >= 0; r--) {
      const rule = layer.rules[r];
      if (rule === undefined || (rule.isDirectoryOnly && !isDirectory)) continue;
      if (rule.matches(relative)) return !rule.isNegated;
    }
  }
  return false;
}

function inside(base: string, path: string): string {
  if (base === "" || path === "") return base + path;
  return `${base}/${path}`;
}

/** `$NAME` and `${NAME}` in mounts, volumes, workdir and service. */

import { mapStrings, type YamlNode } from "../../shared/yaml-node.ts";

const REFERENCE = /\$(?:\{([a-zA-Z_][a-zA-Z0-9_]*)\}|([a-zA-Z_][a-zA-Z0-9_]*))/g;

/** Replaces known names once; values are not searched again, unknown names stay as written. */
export function substituteText(text: string, values: ReadonlyMap<string, string>): string {
  return text.replace(REFERENCE, (reference, braced: string | undefined, bare: string | undefined) => {
    return values.get(braced ?? bare ?? "") ?? reference;
  });
}

/** Replaces in every string of a tree, keys included, so that a value may hold any character. */
export function substitute(node: YamlNode, values: ReadonlyMap<string, string>): YamlNode {
  return values.size === 0 ? node : mapStrings(node, (text) => substituteText(text, values));
}

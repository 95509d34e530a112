/** Settings that may differ from cluster to cluster: one value for all, or a list of `{pattern: value}`. */

import { matchesGlob } from "../glob.ts";

interface Choice {
  /** Undefined: any name. */
  readonly pattern: string | undefined;
  readonly value: string | undefined;
}

/** The value for all clusters, or the first of the list whose pattern matches this one's name. */
export function valueForCluster(setting: unknown, clusterName: string): string | undefined {
  return choicesOf(setting).find(({ pattern }) => pattern === undefined || matchesGlob(pattern, clusterName))?.value;
}

/**
 * `Label: text` for all clusters, or where the text differs between them, one line for each pattern in the list's order and one for the
 * clusters that match none.
 */
export function describeByCluster(
  label: string,
  setting: unknown,
  describe: (value: string | undefined) => string,
): readonly string[] {
  const choices = choicesOf(setting);
  const end = choices.findIndex(({ pattern }) => pattern === undefined || pattern === "*");
  const lines = choices.slice(0, end + 1).map(({ pattern, value }) => ({ pattern, text: describe(value) }));
  const [first] = lines;
  if (first === undefined || lines.every(({ text }) => text === first.text)) return [`${label}: ${first?.text}`];
  return lines.map(({ pattern, text }) => `${label} (${whoIs(pattern)}): ${text}`);
}

function whoIs(pattern: string | undefined): string {
  return pattern === undefined || pattern === "*" ? "other clusters" : `clusters ${pattern}`;
}

/** The last one, for any name, is without a pattern. */
function choicesOf(setting: unknown): readonly Choice[] {
  const items: readonly unknown[] = Array.isArray(setting) ? setting : [];
  const listed = items.flatMap((item) =>
    typeof item === "object" && item !== null
      ? Object.entries(item).flatMap(([pattern, value]) => (typeof value === "string" ? [{ pattern, value }] : []))
      : [],
  );
  return [
    ...listed,
    { pattern: undefined, value: typeof setting === "string" && setting !== "" ? setting : undefined },
  ];
}

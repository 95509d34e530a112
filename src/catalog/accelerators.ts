import { InvalidValueError } from "../shared/errors.ts";
import { nodeOf } from "../shared/yaml-node.ts";
import { pyRepr } from "../shared/yaml-repr.ts";
import { KNOWN_ACCELERATORS, type KnownAccelerator } from "./known-accelerators.ts";

/**
 * The spelling of an accelerator that catalogs use; undefined for a name that nothing known contains. The name is text, never a
 * pattern. `offered` are names that catalogs list besides the well-known ones. @throws InvalidValueError when several names contain it
 */
export function canonicalAccelerator(
  written: string,
  offered: Iterable<string>,
  known: readonly KnownAccelerator[] = KNOWN_ACCELERATORS,
): string | undefined {
  const wanted = written.toLowerCase();
  if (wanted.startsWith("tpu-")) return wanted;
  const names = new Set([...known.map((one) => one.name), ...offered]);
  const containing: string[] = [];
  for (const name of names) {
    const lower = name.toLowerCase();
    if (lower === wanted) return name;
    if (lower.includes(wanted)) containing.push(name);
  }
  if (containing.length <= 1) return containing[0];
  const list = pyRepr(nodeOf(containing.sort()));
  throw new InvalidValueError(`Accelerator name '${written}' is ambiguous. Please choose one of ${list}.`);
}

/** Names of accelerators with that memory per device (or at least that), optionally of one manufacturer. */
export function acceleratorsWithMemory(
  gib: number,
  options: { readonly atLeast: boolean; readonly manufacturer?: string },
): readonly string[] {
  const maker = options.manufacturer?.trim().toLowerCase();
  return KNOWN_ACCELERATORS.filter(
    ({ memoryGb, manufacturer }) =>
      memoryGb !== undefined &&
      (options.atLeast ? memoryGb >= gib : memoryGb === gib) &&
      (maker === undefined || maker === manufacturer),
  ).map(({ name }) => name);
}

/** `accelerators: V100:4`, `{A100: 8}`, `[H100:8, A100:8]`, `80GB+`. */

import { InvalidValueError } from "../../shared/errors.ts";
import { isNull, isNumber, isString, keyText, type YamlNode } from "../../shared/yaml-node.ts";
import { pyRepr, reprFloat, reprString } from "../../shared/yaml-repr.ts";
import { parsePythonFloat } from "./amounts.ts";
import type { AcceleratorRequest, CatalogFacts, Infra } from "./resources.ts";

export interface AcceleratorChoice {
  /** How several requests relate: a map is a set, a list is a preference. */
  readonly kind: "any_of" | "ordered";
  readonly requests: readonly AcceleratorRequest[];
  /** Some request came from a memory size. */
  readonly byMemory: boolean;
}

const MEMORY_SIZE = /^([0-9]+(?:\.[0-9]+)?)(?:gb|gi)?(\+?)$/i;
const MANUFACTURERS = ["nvidia", "amd", "intel"];

/** Reads every form of the field; the schema has checked the types. @throws InvalidValueError */
export function parseAccelerators(node: YamlNode, facts?: CatalogFacts): AcceleratorChoice {
  if (isString(node)) return choice("any_of", expandText(node.value, facts));
  if (node.kind === "sequence")
    return choice(
      "ordered",
      node.items.flatMap((item) => expandText(isString(item) ? item.value : pyRepr(item), facts)),
    );
  if (node.kind !== "mapping") throw malformed(pyRepr(node));
  return choice(
    "any_of",
    node.entries.flatMap(({ key, value }) => expandName(keyText(key), countOf(key, value), facts)),
  );
}

type Expanded = AcceleratorRequest & { readonly byMemory: boolean };

function choice(kind: "any_of" | "ordered", found: readonly Expanded[]): AcceleratorChoice {
  if (found.length === 0) throw new InvalidValueError('The "accelerators" field must name at least one accelerator.');
  const requests = new Map(found.map(({ name, count }) => [`${name}:${count}`, Object.freeze({ name, count })]));
  return {
    kind,
    requests: [...requests.values()],
    byMemory: found.some((request) => request.byMemory),
  };
}

function countOf(key: YamlNode, value: YamlNode): number {
  if (isNull(value)) return 1;
  return checkCount(keyText(key), isNumber(value) ? Number(value.value) : NaN);
}

function checkCount(name: string, count: number): number {
  if (!(count > 0)) {
    const shown = Number.isInteger(count) ? String(count) : reprFloat(count);
    throw new InvalidValueError(`Accelerator count must be a positive number. Got: ${reprString(name)}: ${shown}.`);
  }
  return count;
}

function malformed(text: string): InvalidValueError {
  return new InvalidValueError(
    `The "accelerators" field as a str should be <name> or <name>:<cnt>. Found: ${reprString(text)}`,
  );
}

function expandText(text: string, facts: CatalogFacts | undefined): Expanded[] {
  const parts = text.split(":");
  const [first = "", second, third] = parts;
  if (parts.length === 1) return expandName(first, 1, facts);
  const isMemory = isMemorySize(second ?? "") && MANUFACTURERS.includes(first.trim().toLowerCase());
  if (isMemory && parts.length <= 3)
    return expandName(`${first}:${second}`, third === undefined ? 1 : parseCount(text, third), facts);
  if (parts.length > 2) throw malformed(text);
  return expandName(first, checkCount(first, parseCount(text, second ?? "")), facts);
}

function parseCount(text: string, digits: string): number {
  const count = parsePythonFloat(digits);
  if (count === undefined || !Number.isFinite(count)) throw malformed(text);
  return count;
}

/** A bare number is no device memory: its unit, or the plus, makes it one. */
function isMemorySize(text: string): boolean {
  return MEMORY_SIZE.test(text) && /[a-z+]/i.test(text);
}

/** A device name is itself; a memory size is every device with it. Without a catalog the size is kept for whoever has one. */
function expandName(written: string, count: number, facts: CatalogFacts | undefined): Expanded[] {
  const [first = "", second] = written.split(":");
  const manufacturer = second === undefined ? undefined : first;
  const size = second ?? first;
  const match = isMemorySize(size) ? MEMORY_SIZE.exec(size) : null;
  if (match === null) return [{ name: facts?.canonicalAccelerator(written) ?? written, count, byMemory: false }];
  if (facts === undefined) return [{ name: written, count, byMemory: true }];
  const names = facts.acceleratorsWithMemory(Number(match[1]), {
    atLeast: match[2] === "+",
    ...(manufacturer !== undefined && { manufacturer }),
  });
  if (names.length === 0)
    throw new InvalidValueError(`No accelerators found with ${reprString(written)} of device memory.`);
  return names.map((name) => ({ name, count, byMemory: true }));
}

const GKE_TPUS = ["tpu-v4-podslice", "tpu-v5-lite-device", "tpu-v5-lite-podslice", "tpu-v5p-slice", "tpu-v6e-slice"];

export function isTpu(name: string): boolean {
  return name.toLowerCase().startsWith("tpu");
}

export interface TpuDefaults {
  readonly infra: Infra;
  readonly args: Readonly<Record<string, unknown>>;
  /** The runtime version that was filled in, for a notice. */
  readonly filledRuntime?: string;
}

/** What a TPU implies: GCP unless Kubernetes was asked for, and a runtime version. @throws InvalidValueError on other clouds */
export function withTpuDefaults(
  name: string,
  infra: Infra,
  written: Readonly<Record<string, unknown>> | undefined,
): TpuDefaults {
  const isGke = GKE_TPUS.includes(name.toLowerCase());
  const cloud = infra.cloud ?? (isGke ? "kubernetes" : "gcp");
  if (cloud !== "gcp" && cloud !== "kubernetes")
    throw new InvalidValueError("Cloud must be GCP or Kubernetes for TPU accelerators.");
  const args = { ...written };
  const place = { ...infra, cloud };
  if (cloud === "kubernetes" || isGke || args["runtime_version"] !== undefined) return { infra: place, args };
  const runtime = defaultRuntime(name.toLowerCase(), args["tpu_vm"] !== false);
  return { infra: place, args: { ...args, runtime_version: runtime }, filledRuntime: runtime };
}

function defaultRuntime(name: string, isVm: boolean): string {
  if (!isVm) return "2.12.0";
  if (name.startsWith("tpu-v5")) return "v2-alpha-tpuv5";
  return name.startsWith("tpu-v6e") ? "v2-alpha-tpuv6e" : "tpu-vm-base";
}

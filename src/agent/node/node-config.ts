import { readFileSync } from "node:fs";
import { isAbsolute } from "node:path";
import type { NodeConfig } from "../../shared/agent/protocol.ts";
import { InvalidConfigError } from "../../shared/errors.ts";

/** Reads `<root>/node.json`. Throws InvalidConfigError with the file, the key and what is wrong with it. */
export function loadNodeConfig(path: string): NodeConfig {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new InvalidConfigError(`Cannot read the node's configuration: ${(error as Error).message}`, { cause: error });
  }
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (error) {
    throw new InvalidConfigError(`${path} is not JSON.`, { cause: error });
  }
  return parseNodeConfig(raw, path);
}

type Check = (value: unknown) => boolean;
const isText: Check = (value) => typeof value === "string" && value !== "";
const isCount: Check = (value) => Number.isInteger(value) && (value as number) >= 0;
const isAmount: Check = (value) => typeof value === "number" && Number.isFinite(value) && value >= 0;
const isObject: Check = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

const checks: Readonly<Record<string, Check>> = {
  clusterName: isText,
  clusterNameOnCloud: isText,
  clusterToken: (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value),
  index: isCount,
  numNodes: (value) => isCount(value) && value !== 0,
  ip: isText,
  resources: isResources,
  home: (value) => typeof value === "string" && isAbsolute(value),
  head: (value) => value === undefined || (isObject(value) && isHead(value as Record<string, unknown>)),
  sshKeys: (value) => value === undefined || (Array.isArray(value) && value.every(isText)),
  power: (value) => value === "leave" || value === "poweroff",
  clusterInfo: isText,
};

export function parseNodeConfig(raw: unknown, source: string): NodeConfig {
  if (!isObject(raw)) throw new InvalidConfigError(`${source} is not a JSON object.`);
  const record = raw as Readonly<Record<string, unknown>>;
  for (const [key, check] of Object.entries(checks)) {
    // The value is not shown: one of the keys is secret.
    if (!check(record[key])) throw new InvalidConfigError(`${source}: "${key}" is missing or invalid.`);
  }
  return raw as NodeConfig;
}

function isHead(head: Readonly<Record<string, unknown>>): boolean {
  return isText(head["host"]) && isCount(head["port"]);
}

function isResources(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { cpus, memoryGib, accelerators } = value as Record<string, unknown>;
  return (
    isAmount(cpus) &&
    isAmount(memoryGib) &&
    isObject(accelerators) &&
    Object.values(accelerators as Record<string, unknown>).every(isAmount)
  );
}

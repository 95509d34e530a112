/** Putting one config over another. */

import { InvalidConfigError } from "../errors.ts";
import { nodeOf } from "../yaml-node.ts";
import { pyRepr } from "../yaml-repr.ts";
import { deepFreeze, EMPTY_CONFIG, isMap, type Config } from "./config.ts";

/** Kubernetes lists whose items are the same when this field is. */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: "name",
  initContainers: "name",
  ephemeralContainers: "name",
  volumes: "name",
  resourceClaims: "name",
  env: "name",
  claims: "name",
  volumeMounts: "mountPath",
  hostAliases: "ip",
  topologySpreadConstraints: "topologyKey",
  ports: "containerPort",
  volumeDevices: "devicePath",
};

const REPLACED_LISTS = ["args", "command", "imagePullSecrets"];

/** Below these keys Kubernetes' own rules hold, wherever they stand. */
const KUBERNETES_KEYS = ["pod_config", "custom_metadata"];

/** Sections whose objects are pods. */
const POD_SECTIONS = ["kubernetes", "ssh"];

/** The layers from low to high precedence; maps merge key by key, everything else replaces. */
export interface ConfigLayers {
  /** Of the API server. */
  readonly server?: Config | undefined;
  readonly user?: Config | undefined;
  readonly project?: Config | undefined;
  /** `--config` and `--workspace`. */
  readonly flags?: Config | undefined;
  /** The task's `config:` block. */
  readonly task?: Config | undefined;
}

/** One config of all layers. @throws InvalidConfigError when a pod fragment meets one of another shape */
export function resolveConfig(layers: ConfigLayers): Config {
  const { server, user, project, flags, task } = layers;
  let config: Config = EMPTY_CONFIG;
  for (const layer of [server, user, project, flags, task])
    if (layer !== undefined) config = mergeConfig(config, layer);
  return deepFreeze(config);
}

/** `override` over `base`; neither is changed. A null is kept as an explicit null. */
export function mergeConfig(base: Config, override: Config): Config {
  return mergeMaps(base, override, []);
}

function mergeMaps(base: Config, override: Config, path: readonly string[]): Config {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(override)) {
    const before = merged[key];
    const here = [...path, key];
    if (isPodFragment(here) && before !== undefined && value !== null) merged[key] = mergePod(before, value, key);
    else merged[key] = isMap(before) && isMap(value) ? mergeMaps(before, value, here) : value;
  }
  return merged;
}

function isPodFragment(path: readonly string[]): boolean {
  return KUBERNETES_KEYS.includes(path.at(-1) ?? "") && path.some((key) => POD_SECTIONS.includes(key));
}

/** Kubernetes' merge: maps recurse, known lists merge item by item, others grow. @throws InvalidConfigError */
export function mergePod(base: unknown, override: unknown, key: string): unknown {
  if (isMap(base) && isMap(override)) {
    const merged: Record<string, unknown> = { ...base };
    for (const [name, value] of Object.entries(override))
      merged[name] = name in base && base[name] !== null ? mergePod(base[name], value, name) : value;
    return merged;
  }
  if (Array.isArray(base) && Array.isArray(override)) return mergeLists(base, override, key);
  if (isMap(base) || Array.isArray(base))
    throw new InvalidConfigError(
      `Cannot override config field '${key}' of type ${typeName(base)} with a value of type ${typeName(override)}: ${pyRepr(nodeOf(override))}.`,
    );
  return override;
}

function typeName(value: unknown): string {
  if (Array.isArray(value)) return "list";
  if (value === null || value === undefined) return "NoneType";
  if (typeof value === "string") return "str";
  if (typeof value === "boolean") return "bool";
  return typeof value === "number" ? (Number.isInteger(value) ? "int" : "float") : "dict";
}

function mergeLists(base: readonly unknown[], override: readonly unknown[], key: string): unknown[] {
  if (REPLACED_LISTS.includes(key)) return [...override];
  const field = MERGE_KEYS[key];
  if (field === undefined) return [...base, ...override];
  const merged = [...base];
  for (const item of override) {
    const at = indexOfItem(merged, item, { key, field });
    if (at < 0) merged.push(item);
    else merged[at] = mergePod(merged[at], item, key);
  }
  return merged;
}

/** A container without a name means the first one. */
function indexOfItem(list: readonly unknown[], item: unknown, by: { key: string; field: string }): number {
  if (!isMap(item)) return -1;
  const value = item[by.field];
  if (value === undefined) return by.key === "containers" && list.length > 0 ? 0 : -1;
  return list.findIndex((candidate) => isMap(candidate) && candidate[by.field] === value);
}

/** One candidate: every field of a checked block → a frozen `Resources`. */

import { located, valueError } from "../../shared/config/value-error.ts";
import { InvalidValueError } from "../../shared/errors.ts";
import {
  child,
  isNull,
  isNumber,
  isString,
  keyText,
  plainOf,
  type YamlMapping,
  type YamlNode,
} from "../../shared/yaml-node.ts";
import { pyRepr, pyStr, reprString } from "../../shared/yaml-repr.ts";
import { isTpu, withTpuDefaults } from "./accelerators.ts";
import { parseCpus, parseDiskSize, parseLocalDisk, parseMemory } from "./amounts.ts";
import { parseAutostop } from "./autostop.ts";
import { parseImageId } from "./image.ts";
import { displayCloud } from "../../shared/cloud-names.ts";
import { infraOf, parseInfra } from "./infra.ts";
import { canonicalPorts } from "./ports.ts";
import {
  DEFAULT_DISK_SIZE_GIB,
  type AcceleratorRequest,
  type CatalogFacts,
  type DiskTier,
  type DockerLogin,
  type Infra,
  type JobRecovery,
  type Resources,
} from "./resources.ts";

export interface CandidateContext {
  readonly file?: string | undefined;
  readonly facts?: CatalogFacts | undefined;
  readonly warn?: ((message: string) => void) | undefined;
}

interface BuildContext extends CandidateContext {
  readonly accelerator?: AcceleratorRequest;
  readonly byMemory: boolean;
}

const INTERNAL_KEYS = ["_is_image_managed", "_requires_fuse"];

const DISK_TIERS: readonly string[] = ["low", "medium", "high", "ultra", "best"] satisfies DiskTier[];
const NETWORK_TIERS: readonly string[] = ["standard", "best"];

/** @throws InvalidValueError */
export function buildCandidate(block: YamlMapping, context: BuildContext): Resources {
  const field = reader(block, context);
  const place = infraFields(block, context);
  const tpu = tpuFields(block, place, context);
  const infra = tpu?.infra ?? place;
  const useSpot = child(block, "use_spot");
  return freeze({
    infra,
    instanceType: field("instance_type", pyStr),
    cpus: field("cpus", (node) => parseCpus(pyStr(node))),
    memory: field("memory", (node) => parseMemory(pyStr(node))),
    accelerators: context.accelerator,
    acceleratorArgs: tpu?.args ?? field("accelerator_args", plainMap),
    useSpot: useSpot === undefined ? undefined : plainOf(useSpot) === true,
    jobRecovery: field("job_recovery", parseJobRecovery),
    diskSizeGib: field("disk_size", diskSize),
    diskTier: field("disk_tier", (node) => tier(node, "disk_tier", DISK_TIERS) as DiskTier),
    networkTier: field("network_tier", (node) => tier(node, "network_tier", NETWORK_TIERS) as "standard" | "best"),
    localDisk: field("local_disk", (node) => parseLocalDisk(pyStr(node))),
    maxHourlyCostUsd: field("max_hourly_cost", (node) => Number(plainOf(node))),
    ports: field("ports", ports),
    imageId: field("image_id", (node) => parseImageId(node, infra)),
    labels: field("labels", labels),
    autostop: field("autostop", parseAutostop),
    priority: field("priority", (node) => Number(plainOf(node))),
    priorityClass: field("priority_class", (node) => (pyStr(node) === "" ? undefined : pyStr(node))),
    volumes: field("volumes", legacyVolumes),
    clusterConfigOverrides: field("_cluster_config_overrides", nonEmptyMap),
    dockerLogin: field("_docker_login_config", (node) => plainOf(node) as DockerLogin),
    noMissingAcceleratorWarnings: context.byMemory ? true : field("_no_missing_accel_warnings", flag),
    internal: internalFields(block),
  });
}

/** Reads one key; absent and null are undefined, a bad value gets its place. */
function reader(block: YamlMapping, context: CandidateContext) {
  return <T>(key: string, read: (node: YamlNode) => T): T | undefined => {
    const node = child(block, key);
    if (node === undefined || isNull(node)) return undefined;
    return located({ file: context.file, node, path: ["resources", key] }, () => read(node));
  };
}

function freeze(fields: Resources): Resources {
  const present = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.freeze(Object.fromEntries(present)) as unknown as Resources;
}

function infraFields(block: YamlMapping, context: CandidateContext): Infra {
  const text = (key: string): string | undefined => {
    const node = child(block, key);
    return isString(node) ? node.value : undefined;
  };
  const infra = text("infra");
  const [cloud, region, zone] = [text("cloud"), text("region"), text("zone")];
  if (infra === undefined) return infraOf(cloud, region, zone);
  if (cloud === undefined && region === undefined && zone === undefined) return parseInfra(infra);
  const shown = cloud === undefined ? undefined : displayCloud(cloud.toLowerCase());
  throw valueError(
    "Cannot specify both `infra` and `cloud`, `region`, or `zone` parameters. " +
      `Got: infra=${infra}, cloud=${shown ?? "None"}, region=${region ?? "None"}, zone=${zone ?? "None"}`,
    { file: context.file, node: child(block, "infra"), path: ["resources", "infra"] },
  );
}

function tpuFields(block: YamlMapping, infra: Infra, context: BuildContext) {
  const name = context.accelerator?.name;
  if (name === undefined || !isTpu(name)) return undefined;
  const node = child(block, "accelerator_args");
  const written = node === undefined || isNull(node) ? undefined : plainMap(node);
  const tpu = located(
    { file: context.file, node: child(block, "accelerators"), path: ["resources", "accelerators"] },
    () => withTpuDefaults(name, infra, written),
  );
  if (tpu.filledRuntime !== undefined)
    context.warn?.(`Missing runtime_version in accelerator_args, using default (${tpu.filledRuntime})`);
  return tpu;
}

function plainMap(node: YamlNode): Readonly<Record<string, unknown>> {
  return plainOf(node) as Readonly<Record<string, unknown>>;
}

function nonEmptyMap(node: YamlNode): Readonly<Record<string, unknown>> | undefined {
  return node.kind === "mapping" && node.entries.length > 0 ? plainMap(node) : undefined;
}

function flag(node: YamlNode): boolean | undefined {
  return plainOf(node) === true ? true : undefined;
}

function diskSize(node: YamlNode): number | undefined {
  const gib = parseDiskSize(pyStr(node));
  return gib === DEFAULT_DISK_SIZE_GIB ? undefined : gib;
}

function tier(node: YamlNode, field: string, known: readonly string[]): string {
  const name = pyStr(node);
  if (known.includes(name.toLowerCase())) return name.toLowerCase();
  const words = field.replace("_", " ");
  const label = words.charAt(0).toUpperCase() + words.slice(1);
  throw new InvalidValueError(`Invalid ${field} ${reprString(name)}. ${label} must be one of ${known.join(", ")}.`);
}

function ports(node: YamlNode): readonly string[] | undefined {
  const written = node.kind === "sequence" ? node.items.map((item) => pyStr(item)) : [pyStr(node)];
  const canonical = canonicalPorts(written);
  return canonical.length === 0 ? undefined : canonical;
}

function labels(node: YamlNode): Readonly<Record<string, string>> | undefined {
  if (node.kind !== "mapping") return undefined;
  return Object.fromEntries(node.entries.map(({ key, value }) => [keyText(key), pyStr(value)]));
}

/** Disks of the old GCP form; the instance's own disks have no name. */
function legacyVolumes(node: YamlNode): readonly unknown[] {
  for (const item of node.kind === "sequence" ? node.items : []) {
    const path = child(item, "path");
    if (path === undefined)
      throw new InvalidValueError(`Invalid volume ${pyRepr(item)}. Volume must have a "path" field.`);
    const type = child(item, "storage_type");
    const isInstance = isString(type) && type.value.toLowerCase() === "instance";
    if (!isInstance && child(item, "name") === undefined)
      throw new InvalidValueError(`Network volume ${pyStr(path)} must have "name" field.`);
  }
  return plainOf(node) as readonly unknown[];
}

function internalFields(block: YamlMapping): Readonly<Record<string, unknown>> | undefined {
  const found = INTERNAL_KEYS.flatMap((key) => {
    const node = child(block, key);
    return node === undefined ? [] : [[key, plainOf(node)] as const];
  });
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

const RECOVERY_KEYS = ["strategy", "max_restarts_on_errors", "recover_on_exit_codes"];

function parseJobRecovery(node: YamlNode): JobRecovery | undefined {
  if (node.kind !== "mapping") {
    const name = pyStr(node);
    return name.toLowerCase() === "none" ? undefined : { strategy: name.toUpperCase() };
  }
  const strategy = child(node, "strategy");
  const name = isString(strategy) ? strategy.value : null;
  if (name?.toLowerCase() === "none") return undefined;
  const restarts = child(node, "max_restarts_on_errors");
  const codes = child(node, "recover_on_exit_codes");
  const extra = Object.entries(plainMap(node)).filter(([key]) => !RECOVERY_KEYS.includes(key));
  return {
    strategy: name?.toUpperCase() ?? null,
    ...(isNumber(restarts) && { maxRestartsOnErrors: Number(restarts.value) }),
    ...(codes !== undefined && { recoverOnExitCodes: exitCodes(codes) }),
    ...(extra.length > 0 && { extra: Object.fromEntries(extra) }),
  };
}

function exitCodes(node: YamlNode): readonly number[] {
  return node.kind === "sequence" ? node.items.map((item) => Number(plainOf(item))) : [Number(plainOf(node))];
}

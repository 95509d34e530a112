/** One document → one frozen `Task`. */

import type { SchemaSide } from "../../shared/config/config-schema.ts";
import { checkSchema } from "../../shared/config/schema-report.ts";
import { taskConfigSchema } from "../../shared/config/task-config-schema.ts";
import { foldTaskOverrides } from "../../shared/config/task-overrides.ts";
import { valueError } from "../../shared/config/value-error.ts";
import { InvalidValueError } from "../../shared/errors.ts";
import {
  child,
  entryOf,
  isString,
  keyText,
  nodeOf,
  plainOf,
  withEntry,
  withoutKeys,
  withoutNulls,
  type YamlMapping,
  type YamlNode,
} from "../../shared/yaml-node.ts";
import { pyRepr, pyStr } from "../../shared/yaml-repr.ts";
import { dumpYaml } from "../../shared/yaml-dump.ts";
import { parseResources } from "../resources/parse.ts";
import type { CatalogFacts, ResourceChoice, Resources } from "../resources/resources.ts";
import { dockerLoginOf, withDockerLogin } from "./docker-login.ts";
import { overrideEntries, parseEnvs, parseSecrets, stringifyEnvs, type Overrides } from "./envs.ts";
import { freezePresent } from "./freeze.ts";
import { HOOK_WARNING, parseHooks, routedHook } from "./hooks.ts";
import { parsePool, parseServicePool } from "./pool.ts";
import { parseService } from "./service.ts";
import { needsFuse, parseStorage } from "./storage.ts";
import { substitute } from "./substitute.ts";
import { taskSchema } from "./task-schema.ts";
import type { DataEstimate, StorageSpec, Task, VolumeSpec, Workdir } from "./task.ts";

export interface ParseTaskOptions {
  /** The file's name as the user gave it, for error texts. */
  readonly file?: string | undefined;
  /** The server refuses the unknown config keys that the client lets through; default client. */
  readonly side?: SchemaSide;
  /** `--env-file` then `--env`: the last one wins; null is a name without a value. */
  readonly envOverrides?: Overrides;
  /** `--secret-file` then `--secret`. */
  readonly secretOverrides?: Overrides;
  /** The merged `--config` values; keys that a task may override are folded into it. */
  readonly configOverrides?: Readonly<Record<string, unknown>> | undefined;
  readonly facts?: CatalogFacts | undefined;
  readonly warn?: ((message: string) => void) | undefined;
  /** Characters; see MAX_YAML_LENGTH. */
  readonly maxLength?: number | undefined;
}

const SUBSTITUTED = ["file_mounts", "volumes", "workdir", "service"];

/** @throws InvalidConfigError, InvalidValueError, StorageSpecError */
export function parseTask(document: YamlMapping, options: ParseTaskOptions = {}): Task {
  const { file } = options;
  const written = withoutNulls(withoutKeys(document, ["_user_specified_yaml"]));
  const overridden = overrideEntries(stringifyEnvs(written), "envs", options.envOverrides ?? []);
  const block = overrideEntries(overridden, "secrets", options.secretOverrides ?? []);
  checkSchema(block, taskSchema("client"), { prefix: "Invalid task YAML: ", file });
  checkServiceOrPool(block, file);
  const envs = parseEnvs(block, file);
  const secrets = parseSecrets(block, file);
  const login = dockerLoginOf(envs, secrets.inline);
  const filled = isDump(document) ? block : fillIn(block, valuesOf(envs, secrets.inline));
  const numNodes = parseNumNodes(child(filled, "num_nodes"), file);
  const mounts = parseFileMounts(filled, file);
  const estimates = { inputs: parseEstimate(filled, "inputs", file), outputs: parseEstimate(filled, "outputs", file) };
  const { resources, hooks } = parsePlacement(filled, mounts.storageMounts, options);
  return freezePresent<Task>({
    name: textOf(filled, "name"),
    numNodes,
    resources: withDockerLogin(resources, login, options.warn),
    hooks,
    envs,
    secrets: secrets.inline,
    managedSecretNames: secrets.managedNames,
    managedSecrets: secrets.managed,
    setup: textOf(filled, "setup"),
    run: textOf(filled, "run"),
    workdir: parseWorkdir(child(filled, "workdir")),
    ...mounts,
    ...estimates,
    ...parseServing(filled, file),
    ...otherFields(filled),
    userSpecifiedYaml: userText(document),
  });
}

function checkServiceOrPool(block: YamlMapping, file: string | undefined): void {
  const pool = child(block, "pool");
  if (pool !== undefined && child(block, "service") !== undefined)
    throw valueError("Cannot set both service and pool in the same task.", { file, node: pool, path: ["pool"] });
}

/** A dump has its values filled in; a `$NAME` in it came out of a value. */
function isDump(document: YamlMapping): boolean {
  return child(document, "_user_specified_yaml") !== undefined;
}

function valuesOf(envs: Task["envs"], secrets: Task["secrets"]): ReadonlyMap<string, string> {
  const inline = Object.entries(secrets).map(([name, secret]) => [name, secret.reveal()] as const);
  return new Map([...Object.entries(envs), ...inline]);
}

function fillIn(block: YamlMapping, values: ReadonlyMap<string, string>): YamlMapping {
  let filled = block;
  for (const key of SUBSTITUTED) {
    const node = child(block, key);
    if (node !== undefined) filled = withEntry(filled, key, substitute(node, values));
  }
  return filled;
}

function textOf(block: YamlMapping, key: string): string | undefined {
  const node = child(block, key);
  return isString(node) ? node.value : undefined;
}

function parseNumNodes(node: YamlNode | undefined, file: string | undefined): number {
  if (node === undefined) return 1;
  const count = plainOf(node);
  if (node.kind === "scalar" && node.type === "int" && typeof count === "number" && count > 0) return count;
  throw valueError(`num_nodes should be a positive int. Got: ${pyRepr(node)}`, { file, node, path: ["num_nodes"] });
}

function parseWorkdir(node: YamlNode | undefined): Workdir | undefined {
  if (node === undefined) return undefined;
  if (isString(node)) return { kind: "dir", path: node.value };
  const url = child(node, "url");
  const ref = child(node, "ref");
  return { kind: "git", url: isString(url) ? url.value : "", ...(isString(ref) && { ref: ref.value }) };
}

interface Mounts {
  readonly fileMounts: Readonly<Record<string, string>>;
  readonly storageMounts: Readonly<Record<string, StorageSpec>>;
}

function parseFileMounts(block: YamlMapping, file: string | undefined): Mounts {
  const node = child(block, "file_mounts");
  const fileMounts: [string, string][] = [];
  const storageMounts: [string, StorageSpec][] = [];
  for (const { key, value } of node?.kind === "mapping" ? node.entries : []) {
    const destination = keyText(key);
    if (isString(value)) fileMounts.push([destination, value.value]);
    else if (value.kind === "mapping") storageMounts.push([destination, parseStorage(value, destination, file)]);
    else
      throw valueError(`Unable to parse file_mount ${destination}:${pyStr(value)}`, {
        file,
        node: key,
        path: ["file_mounts", destination],
      });
  }
  return { fileMounts: Object.fromEntries(fileMounts), storageMounts: Object.fromEntries(storageMounts) };
}

function parseEstimate(
  block: YamlMapping,
  key: "inputs" | "outputs",
  file: string | undefined,
): DataEstimate | undefined {
  const node = child(block, key);
  if (node?.kind !== "mapping") return undefined;
  const [pair] = node.entries;
  if (pair === undefined) throw valueError(`Only one ${key.slice(0, -1)} is allowed.`, { file, node, path: [key] });
  return { uri: keyText(pair.key), gigabytes: Number(plainOf(pair.value)) };
}

function parsePlacement(
  block: YamlMapping,
  storages: Readonly<Record<string, StorageSpec>>,
  options: ParseTaskOptions,
): { readonly resources: ResourceChoice; readonly hooks: Task["hooks"] } {
  const { file, facts, warn } = options;
  const { choice, autostopHook } = parseResources(child(block, "resources"), { file, facts, warn });
  const config = child(block, "config");
  const hooks = parseHooks(child(config, "hooks"));
  if (autostopHook !== undefined) warn?.(HOOK_WARNING);
  const sections = config?.kind === "mapping" ? withoutKeys(config, ["hooks"]) : undefined;
  const written = (sections === undefined ? {} : plainOf(sections)) as Readonly<Record<string, unknown>>;
  const fuse = Object.values(storages).some((storage) => needsFuse(storage));
  const candidates = choice.candidates.map((candidate) =>
    withInternals(candidate, { written, fuse, commandLine: options.configOverrides, side: options.side ?? "client" }),
  );
  return {
    resources: Object.freeze({ ...choice, candidates: Object.freeze(candidates) }),
    hooks: autostopHook === undefined ? hooks : [...hooks, routedHook(autostopHook)],
  };
}

interface Internals {
  readonly written: Readonly<Record<string, unknown>>;
  readonly commandLine: Readonly<Record<string, unknown>> | undefined;
  readonly fuse: boolean;
  readonly side: SchemaSide;
}

function withInternals(candidate: Resources, internals: Internals): Resources {
  const carried = candidate.clusterConfigOverrides;
  const { written, commandLine, fuse, side } = internals;
  if (carried !== undefined && Object.keys(written).length > 0)
    throw new InvalidValueError(
      "Cannot set _cluster_config_overrides in both resources and experimental.config_overrides",
    );
  const base = carried ?? written;
  const overrides = commandLine === undefined ? base : foldTaskOverrides(base, commandLine);
  if (side === "server")
    checkSchema(nodeOf(overrides), taskConfigSchema("server"), { prefix: "Invalid resources.config override: " });
  return Object.freeze({
    ...candidate,
    ...(Object.keys(overrides).length > 0 && { clusterConfigOverrides: overrides }),
    ...(fuse && { internal: { ...candidate.internal, _requires_fuse: true } }),
  });
}

function parseServing(block: YamlMapping, file: string | undefined): Pick<Task, "service" | "pool"> {
  const pool = child(block, "pool");
  if (pool?.kind === "mapping") return { pool: parsePool(pool, file) };
  const service = child(block, "service");
  if (service?.kind !== "mapping") return {};
  const carried = parseServicePool(service, file);
  return carried === undefined ? { service: parseService(service, file) } : { pool: carried };
}

type Other = Pick<
  Task,
  "fileMountsMapping" | "volumes" | "volumeMounts" | "eventCallback" | "apiServerAccess" | "metadata"
>;

function otherFields(block: YamlMapping): Other {
  const plain = (key: string): unknown => {
    const node = child(block, key);
    return node === undefined ? undefined : plainOf(node);
  };
  return {
    fileMountsMapping: plain("file_mounts_mapping") as Readonly<Record<string, string>> | undefined,
    volumes: (plain("volumes") ?? {}) as Readonly<Record<string, VolumeSpec>>,
    volumeMounts: plain("volume_mounts") as readonly unknown[] | undefined,
    eventCallback: textOf(block, "event_callback"),
    apiServerAccess: plain("api_server_access") !== false,
    metadata: (plain("_metadata") ?? {}) as Readonly<Record<string, unknown>>,
  };
}

/** What the user wrote, for display; inline secrets do not leave the task. */
function userText(document: YamlMapping): string {
  const carried = child(document, "_user_specified_yaml");
  if (isString(carried)) return carried.value;
  const secrets = entryOf(document, "secrets")?.value;
  const shown = secrets?.kind === "mapping" ? withEntry(document, "secrets", redacted(secrets)) : document;
  return dumpYaml(plainOf(shown));
}

function redacted(secrets: YamlMapping): YamlMapping {
  const hidden = nodeOf("<redacted>");
  return {
    ...secrets,
    entries: secrets.entries.map(({ key, value }) => ({
      key,
      value: value.kind === "scalar" && value.type === "null" ? value : hidden,
    })),
  };
}

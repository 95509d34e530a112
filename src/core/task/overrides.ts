/** The flags of `launch`, `exec` and `jobs launch` on top of a task. */

import { InvalidValueError } from "../../shared/errors.ts";
import { nodeOf } from "../../shared/yaml-node.ts";
import { pyRepr } from "../../shared/yaml-repr.ts";
import { resourcesToValue } from "../resources/dump.ts";
import { displayRegion } from "../resources/infra.ts";
import { parseResources } from "../resources/parse.ts";
import type { CatalogFacts, Infra, ResourceChoice, Resources } from "../resources/resources.ts";
import { freezePresent } from "./freeze.ts";
import type { Dag, Task, Workdir } from "./task.ts";

/**
 * Values as they stand on the command line; absent means that the flag was not given. `none` (any case) takes a value away.
 * `--env`, `--secret` and `--config` belong to parsing, because other fields of the file are built from them.
 */
export interface TaskOverrides {
  readonly name?: string | undefined;
  readonly workdir?: string | undefined;
  readonly gitUrl?: string | undefined;
  readonly gitRef?: string | undefined;
  readonly numNodes?: number | undefined;
  readonly infra?: string | undefined;
  readonly cloud?: string | undefined;
  readonly region?: string | undefined;
  readonly zone?: string | undefined;
  readonly gpus?: string | undefined;
  readonly cpus?: string | undefined;
  readonly memory?: string | undefined;
  readonly instanceType?: string | undefined;
  readonly useSpot?: boolean | undefined;
  readonly imageId?: string | undefined;
  readonly diskSize?: string | number | undefined;
  readonly diskTier?: string | undefined;
  readonly networkTier?: string | undefined;
  readonly localDisk?: string | undefined;
  readonly maxHourlyCost?: number | undefined;
  readonly ports?: readonly string[] | undefined;
  readonly jobRecovery?: string | undefined;
  /** A number is the priority, a name the priority class. */
  readonly priority?: string | number | undefined;
  readonly idleMinutesToAutostop?: number | undefined;
  readonly down?: boolean | undefined;
  readonly waitFor?: string | undefined;
}

export interface ApplyOptions {
  readonly facts?: CatalogFacts | undefined;
  readonly warn?: ((message: string) => void) | undefined;
}

/** Flags replace the field in every candidate of every task. @throws InvalidValueError, InvalidConfigError */
export function applyOverrides(dag: Dag, overrides: TaskOverrides, options: ApplyOptions = {}): Dag {
  if (dag.tasks.length > 1 || dag.execution === "parallel") return applyToMany(dag, overrides, options);
  const tasks = dag.tasks.map((task) => applyToTask(task, overrides, options));
  const name = overrides.name ?? dag.name;
  return freezePresent<Dag>({ ...dag, name, tasks });
}

function applyToMany(dag: Dag, overrides: TaskOverrides, options: ApplyOptions): Dag {
  const ignored = resourceParams(overrides);
  if (Object.keys(ignored).length > 0) {
    const reason =
      dag.execution === "parallel"
        ? "are ignored for Job Group YAML."
        : "are ignored, since the yaml file contains multiple tasks.";
    options.warn?.(`WARNING: override params ${pyRepr(nodeOf(ignored))} ${reason}`);
  }
  const tasks = dag.tasks.map((task) => freezePresent<Task>({ ...task, workdir: newWorkdir(task.workdir, overrides) }));
  return freezePresent<Dag>({ ...dag, name: overrides.name ?? dag.name, tasks });
}

function applyToTask(task: Task, overrides: TaskOverrides, options: ApplyOptions): Task {
  const { numNodes } = overrides;
  if (numNodes !== undefined && !(Number.isInteger(numNodes) && numNodes > 0))
    throw new InvalidValueError(`num_nodes should be a positive int. Got: ${numNodes}`);
  return freezePresent<Task>({
    ...task,
    name: overrides.name ?? task.name,
    numNodes: numNodes ?? task.numNodes,
    workdir: newWorkdir(task.workdir, overrides),
    resources: overrideResources(task.resources, overrides, options),
  });
}

/** A directory given on the command line wins over everything in the file. */
function newWorkdir(written: Workdir | undefined, overrides: TaskOverrides): Workdir | undefined {
  const { workdir, gitUrl, gitRef } = overrides;
  if (workdir !== undefined) return { kind: "dir", path: workdir };
  if (gitUrl !== undefined) return { kind: "git", url: gitUrl, ...(gitRef !== undefined && { ref: gitRef }) };
  return gitRef !== undefined && written?.kind === "git" ? { ...written, ref: gitRef } : written;
}

/** The resource flags by the names that messages use. */
function resourceParams(overrides: TaskOverrides): Record<string, unknown> {
  const { ports } = overrides;
  const params: Record<string, unknown> = {
    infra: overrides.infra,
    cloud: overrides.cloud,
    region: overrides.region,
    zone: overrides.zone,
    accelerators: overrides.gpus,
    cpus: overrides.cpus,
    memory: overrides.memory,
    instance_type: overrides.instanceType,
    use_spot: overrides.useSpot,
    image_id: overrides.imageId,
    disk_size: overrides.diskSize,
    disk_tier: overrides.diskTier,
    network_tier: overrides.networkTier,
    local_disk: overrides.localDisk,
    max_hourly_cost: overrides.maxHourlyCost,
    ports: ports === undefined || ports.length === 0 ? undefined : ports,
    job_recovery: overrides.jobRecovery,
    priority: overrides.priority,
  };
  return Object.fromEntries(Object.entries(params).filter(([, value]) => value !== undefined));
}

const NOT_FOR_EXEC = ["cpus", "memory", "disk_size", "disk_tier", "local_disk", "ports"];

/** What `exec` says about flags that mean nothing on a cluster that exists. */
export function execIgnoredMessages(overrides: TaskOverrides): readonly string[] {
  return Object.entries(resourceParams(overrides))
    .filter(([name]) => NOT_FOR_EXEC.includes(name))
    .map(
      ([name, value]) => `Override param ${name}=${Array.isArray(value) ? value.join(",") : String(value)} is ignored.`,
    );
}

function overrideResources(choice: ResourceChoice, overrides: TaskOverrides, options: ApplyOptions): ResourceChoice {
  const params = resourceParams(overrides);
  const autostop = changesAutostop(overrides);
  if (Object.keys(params).length === 0 && !autostop) return choice;
  checkPorts(overrides.ports);
  const candidates = choice.candidates.flatMap((candidate) => overrideCandidate(candidate, params, overrides, options));
  const kind = candidates.length <= 1 ? "single" : choice.kind === "single" ? "any_of" : choice.kind;
  return Object.freeze({ kind, candidates: Object.freeze(candidates) });
}

function checkPorts(ports: readonly string[] | undefined): void {
  if (ports !== undefined && ports.length > 1 && ports.some((port) => isNone(port)))
    throw new InvalidValueError('Cannot specify both "none" and other ports.');
}

function isNone(value: unknown): boolean {
  return typeof value === "string" && value.toLowerCase() === "none";
}

const PLACE_KEYS = ["infra", "cloud", "region", "zone"];

function overrideCandidate(
  candidate: Resources,
  params: Readonly<Record<string, unknown>>,
  overrides: TaskOverrides,
  options: ApplyOptions,
): readonly Resources[] {
  const value: Record<string, unknown> = resourcesToValue(candidate);
  for (const [key, given] of Object.entries(params)) {
    if (PLACE_KEYS.includes(key) || key === "priority") continue;
    const isReset = isNone(given) || (Array.isArray(given) && given.some((item) => isNone(item)));
    value[key] = isReset ? undefined : given;
    if (key === "accelerators") value["accelerator_args"] = undefined;
  }
  Object.assign(
    value,
    placeValue(candidate.infra, overrides),
    priorityValue(overrides),
    autostopValue(candidate, overrides),
  );
  rekeyImage(value, candidate, overrides);
  const parsed = parseResources(nodeOf(value), options).choice.candidates;
  return parsed.map((resources) =>
    freezePresent<Resources>({ ...resources, dockerLogin: candidate.dockerLogin ?? resources.dockerLogin }),
  );
}

/** `--infra` replaces the whole place; the single flags change their part. */
function placeValue(infra: Infra, overrides: TaskOverrides): Record<string, unknown> {
  if (overrides.infra !== undefined) return { infra: cleanInfra(overrides.infra) };
  if (overrides.cloud === undefined && overrides.region === undefined && overrides.zone === undefined) return {};
  const part = (given: string | undefined, written: string | undefined): string | undefined => {
    if (given === undefined) return written;
    return isNone(given) || given === "*" ? undefined : given;
  };
  return {
    infra: undefined,
    cloud: part(overrides.cloud, infra.cloud),
    region: part(overrides.region, displayRegion(infra)),
    zone: part(overrides.zone, infra.zone),
  };
}

/** The command line forgives blanks and slashes around the place, the file does not. */
function cleanInfra(text: string): string | undefined {
  const clean = text.trim().replaceAll(/^\/+|\/+$/g, "");
  return clean === "" || isNone(clean) ? undefined : clean;
}

function priorityValue({ priority }: TaskOverrides): Record<string, unknown> {
  if (priority === undefined) return {};
  if (isNone(priority)) return { priority: undefined, priority_class: undefined };
  const isNumber = typeof priority === "number" || /^-?[0-9]+$/.test(priority);
  if (!isNumber) return { priority: undefined, priority_class: priority };
  const number = Number(priority);
  if (Math.abs(number) > 1000) throw new InvalidValueError(`Priority must be between -1000 and 1000. Found: ${number}`);
  return { priority: number, priority_class: undefined };
}

/** `--wait-for` alone changes nothing. */
function changesAutostop(overrides: TaskOverrides): boolean {
  return overrides.idleMinutesToAutostop !== undefined || overrides.down === true;
}

/** The flags override the task's autostop field by field. */
function autostopValue(candidate: Resources, overrides: TaskOverrides): Record<string, unknown> {
  if (!changesAutostop(overrides)) return {};
  const { idleMinutesToAutostop: idle, waitFor } = overrides;
  if (idle !== undefined && idle < 0) return { autostop: false };
  const written = candidate.autostop === false ? undefined : candidate.autostop;
  return {
    autostop: {
      idle_minutes: idle ?? written?.idleMinutes ?? 0,
      down: overrides.down ?? written?.down ?? false,
      wait_for: waitFor ?? written?.waitFor,
    },
  };
}

/** An image that means the same everywhere (a container, a tag of ours) follows a change of the region. */
function rekeyImage(value: Record<string, unknown>, candidate: Resources, overrides: TaskOverrides): void {
  const moved = overrides.infra ?? overrides.region ?? overrides.cloud;
  const images = candidate.imageId;
  if (moved === undefined || overrides.imageId !== undefined || images?.size !== 1) return;
  const [only] = [...images.values()];
  if (only !== undefined && /^(?:docker|skypilot):/.test(only) && !images.has("docker")) value["image_id"] = only;
}

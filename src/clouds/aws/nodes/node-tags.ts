import type { Instance as Ec2Instance, Tag, TagSpecification } from "@aws-sdk/client-ec2";
import type { NodeResources } from "../../../shared/agent/protocol.ts";

/** The tag by which clusters are found; SkyPilot's own releases use it too. */
export const CLUSTER_TAG = "ray-cluster-name";
/** Has the same value. */
export const NAME_TAG = "skypilot-cluster-name";
const HEAD_TAG = "skypilot-head-node";
const KIND_TAG = "ray-node-type";
/** Which node each instance of a launch is: the n-th index of the list belongs to the instance with launch index n. */
const INDICES_TAG = "skypilot-node-indices";
/** What is set aside on a node, and how it is reached: `cpus=4 memory=16 user=ubuntu via=ssm A100=8`. */
const NODE_TAG = "skypilot-node";
const ORIGIN_TAG = "skypilot-origin";

/** `ssm`: through Session Manager. */
export type NodeWay = "ssh" | "ssm";

export interface TagWish {
  readonly clusterName: string;
  readonly nameOnCloud: string;
  readonly userName: string;
  readonly sshUser: string;
  readonly via: NodeWay;
  readonly perNode: NodeResources;
  /** Of the config, then of the task. */
  readonly labels: Readonly<Record<string, string>>;
  /** What a lost database is rebuilt from besides the name: `user=… workspace=… nodes=…`. */
  readonly origin: Readonly<Record<string, string>>;
}

/** Tags of instances and volumes from the moment that they exist. */
export function creationTags(
  wish: TagWish,
  indices: readonly number[],
): { readonly instance: TagSpecification; readonly volume: TagSpecification } {
  const own: Readonly<Record<string, string>> = {
    Name: wish.nameOnCloud,
    [CLUSTER_TAG]: wish.nameOnCloud,
    [NAME_TAG]: wish.nameOnCloud,
    "skypilot-user": cleanUserName(wish.userName),
    ...wish.labels,
  };
  const role = indices.includes(0) && indices.length === 1 ? headTags(wish.nameOnCloud) : workerTags(wish.nameOnCloud);
  const node = {
    [INDICES_TAG]: renderIndices(indices),
    [NODE_TAG]: renderPairs({
      cpus: String(wish.perNode.cpus),
      memory: String(wish.perNode.memoryGib),
      user: wish.sshUser,
      via: wish.via,
      ...Object.fromEntries(Object.entries(wish.perNode.accelerators).map(([name, count]) => [name, String(count)])),
    }),
    [ORIGIN_TAG]: renderPairs({ cluster: wish.clusterName, ...wish.origin }),
  };
  return {
    instance: { ResourceType: "instance", Tags: toTags({ ...own, ...role, ...node, ...named(wish.labels) }) },
    volume: { ResourceType: "volume", Tags: toTags(own) },
  };
}

/** A label `Name` of the user's stays, as in 0.14.1. */
function named(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return labels["Name"] === undefined ? {} : { Name: labels["Name"] };
}

export function headTags(nameOnCloud: string): Readonly<Record<string, string>> {
  return { [KIND_TAG]: "head", [HEAD_TAG]: "1", Name: `sky-${nameOnCloud}-head` };
}

function workerTags(nameOnCloud: string): Readonly<Record<string, string>> {
  return { [KIND_TAG]: "worker", [HEAD_TAG]: "0", Name: `sky-${nameOnCloud}-worker` };
}

export function toTags(pairs: Readonly<Record<string, string>>): Tag[] {
  return Object.entries(pairs).map(([Key, Value]) => ({ Key, Value }));
}

export function tagOf(instance: Pick<Ec2Instance, "Tags">, key: string): string | undefined {
  return instance.Tags?.find((each) => each.Key === key)?.Value;
}

/** Whether the instance is the head by the tags that SkyPilot's own releases look at. */
export function isHead(instance: Pick<Ec2Instance, "Tags">): boolean {
  return tagOf(instance, KIND_TAG) === "head" || tagOf(instance, HEAD_TAG) === "1";
}

/**
 * The position of each instance in its cluster. Instances of another release have no such tag: their head is 0, the others follow
 * by id.
 */
export function indicesOf(instances: readonly Ec2Instance[]): ReadonlyMap<string, number> {
  const byId = instances.toSorted((one, other) => (one.InstanceId ?? "").localeCompare(other.InstanceId ?? ""));
  const found = new Map<string, number>();
  const unnamed: Ec2Instance[] = [];
  for (const instance of byId) {
    const index = parseIndices(tagOf(instance, INDICES_TAG) ?? "")[instance.AmiLaunchIndex ?? 0];
    if (index === undefined) unnamed.push(instance);
    else found.set(instance.InstanceId ?? "", index);
  }
  const ordered = unnamed.toSorted((one, other) => Number(isHead(other)) - Number(isHead(one)));
  let next = 0;
  const taken = new Set(found.values());
  for (const instance of ordered) {
    while (taken.has(next)) next++;
    taken.add(next);
    found.set(instance.InstanceId ?? "", next);
  }
  return found;
}

/** `[0,1,2,5]` → `0-2 5`. */
export function renderIndices(indices: readonly number[]): string {
  const spans: [number, number][] = [];
  for (const index of indices) {
    const last = spans.at(-1);
    if (last !== undefined && index === last[1] + 1) last[1] = index;
    else spans.push([index, index]);
  }
  return spans.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(" ");
}

/** `0-2 5` → `[0,1,2,5]`; [] for what is no such list. */
export function parseIndices(text: string): readonly number[] {
  return text.split(" ").flatMap((part) => {
    const span = /^(\d{1,5})(?:-(\d{1,5}))?$/u.exec(part);
    if (span === null) return [];
    const from = Number(span[1]);
    const to = Number(span[2] ?? span[1]);
    return Array.from({ length: Math.max(0, to - from + 1) }, (_, offset) => from + offset);
  });
}

export interface NodeFacts {
  readonly resources: NodeResources;
  readonly sshUser: string;
  /** Undefined for nodes that were made before there was a choice. */
  readonly via: string | undefined;
}

/** What was set aside on the node, from its tag; undefined for an instance of another release. */
export function nodeFactsOf(instance: Pick<Ec2Instance, "Tags">): NodeFacts | undefined {
  const text = tagOf(instance, NODE_TAG);
  if (text === undefined) return undefined;
  const { cpus, memory, user, via, ...accelerators } = parsePairs(text);
  return {
    resources: {
      cpus: Number(cpus ?? 0),
      memoryGib: Number(memory ?? 0),
      accelerators: Object.fromEntries(Object.entries(accelerators).map(([name, count]) => [name, Number(count)])),
    },
    sshUser: user ?? "ubuntu",
    via,
  };
}

/** What a row of the database can be made of again. */
export function originOf(instance: Pick<Ec2Instance, "Tags">): Readonly<Record<string, string>> {
  return parsePairs(tagOf(instance, ORIGIN_TAG) ?? "");
}

/** AWS limits a tag's value to 256 characters; only letters, digits, blanks and `+-=._:/@` are allowed for every service. */
function renderPairs(pairs: Readonly<Record<string, string>>): string {
  return Object.entries(pairs)
    .map(([key, value]) => `${key}=${value.replaceAll(/[^\w.+:/@-]/gu, "-")}`)
    .join(" ")
    .slice(0, 256);
}

function parsePairs(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split(" ").flatMap((part) => {
      const at = part.indexOf("=");
      return at <= 0 ? [] : [[part.slice(0, at), part.slice(at + 1)]];
    }),
  );
}

/** Lower-case letters, digits and dashes, as SkyPilot writes it. */
function cleanUserName(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9-]/gu, "") || "user";
}

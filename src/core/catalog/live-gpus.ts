import { InvalidValueError } from "../../shared/errors.ts";
import {
  POOL_CONTEXT_PREFIX,
  type LiveGpusBody,
  type LiveGpusResult,
  type NodeInfo,
  type NodeInfoBody,
  type NodesInfo,
} from "../../shared/wire/live-gpus.ts";
import { enabledClouds } from "../check/clouds.ts";
import { cloudContext } from "../clusters/cluster.ts";
import type { Operation, OperationContext } from "../operation.ts";
import type { MachineGroup, MachineUse } from "../ports/cloud.ts";

/** How many accelerators the user's own machines have free. The names are those that the protocol has for Kubernetes, which pools are for the original. */
export const liveGpusOperation: Operation<LiveGpusBody, LiveGpusResult> = {
  name: "catalog.live_gpus",
  wireName: "realtime_kubernetes_gpu_availability",
  schedule: "short",
  isResumable: false,
  run: runLiveGpus,
};

export const nodeInfoOperation: Operation<NodeInfoBody, NodesInfo> = {
  name: "catalog.node_info",
  wireName: "kubernetes_node_info",
  schedule: "short",
  isResumable: false,
  run: async (body, context) => toNodesInfo((await askGroups(body.context, context)).flatMap((one) => one.machines)),
};

async function runLiveGpus(body: LiveGpusBody, context: OperationContext): Promise<LiveGpusResult> {
  // Without Kubernetes, pools are all that there is.
  const groups = body.is_ssh === false ? [] : await askGroups(body.context, context);
  const found = groups
    .map(({ region, machines }): LiveGpusResult[number] => [
      `${POOL_CONTEXT_PREFIX}${region}`,
      countGpus(machines, body),
    ])
    .filter(([, rows]) => rows.length > 0);
  if (found.length === 0) throw nothingFound(body);
  return found;
}

async function askGroups(
  place: string | null | undefined,
  context: OperationContext,
): Promise<readonly MachineGroup[]> {
  const region = place?.startsWith(POOL_CONTEXT_PREFIX) === true ? place.slice(POOL_CONTEXT_PREFIX.length) : place;
  const clouds = (await enabledClouds(context)).filter(({ enabled }) => enabled.includes("compute"));
  const answers = await Promise.all(
    clouds.map(async ({ cloud }) => await cloud.machines?.(cloudContext(context), region ?? undefined)),
  );
  return answers.flatMap((groups) => groups ?? []);
}

type Row = LiveGpusResult[number][1][number];

function countGpus(machines: readonly MachineUse[], { name_filter: name, quantity_filter: wanted }: LiveGpusBody) {
  const kinds = [...new Set(machines.flatMap(({ gpus }) => Object.keys(gpus)))].sort();
  const isAsked = (kind: string): boolean =>
    name === null || name === undefined || kind.toLowerCase().includes(name.toLowerCase());
  return kinds.filter(isAsked).flatMap((kind): readonly Row[] => {
    const shares = machines.flatMap(({ gpus }) => gpus[kind] ?? []);
    const most = Math.max(...shares.map(({ total }) => total));
    const counts = wanted === null || wanted === undefined ? countsUpTo(most) : most >= wanted ? [wanted] : [];
    if (counts.length === 0) return [];
    // A host with less than is asked for has nothing for such a node.
    const free = shares.map((share) => (share.free >= (wanted ?? 1) ? share.free : 0));
    return [[kind, counts, sum(shares.map(({ total }) => total)), sum(free)]];
  });
}

/** Powers of two, and all of them. */
function countsUpTo(most: number): number[] {
  const powers = Array.from({ length: Math.floor(Math.log2(most)) + 1 }, (_, power) => 2 ** power);
  return powers.includes(most) ? powers : [...powers, most];
}

function sum(amounts: readonly number[]): number {
  return amounts.reduce((total, one) => total + one, 0);
}

function nothingFound({ name_filter: name, quantity_filter: count, is_ssh: isSsh }: LiveGpusBody): InvalidValueError {
  const where = isSsh === false ? "any allowed Kubernetes cluster" : "SSH Node Pools";
  if (name === null || name === undefined) return new InvalidValueError(`No GPUs found in ${where}.`);
  const quantity = count === null || count === undefined ? "" : ` with requested quantity ${count}`;
  return new InvalidValueError(`Resources '${name}'${quantity} not found in ${where}.`);
}

function toNodesInfo(machines: readonly MachineUse[]): NodesInfo {
  const problems = machines.flatMap(({ name, problem }) => (problem === undefined ? [] : [`${name}: ${problem}`]));
  return { node_info_dict: Object.fromEntries(machines.flatMap(entriesOf)), hint: problems.join("; ") };
}

/** A node has one kind of accelerator on the wire: a machine with two kinds is told of twice. */
function entriesOf({ name, address, cpus, memoryGib, gpus, problem }: MachineUse): [string, NodeInfo][] {
  const kinds = Object.entries(gpus);
  const listed = kinds.length === 0 ? [[null, { total: 0, free: 0 }] as const] : kinds;
  return listed.map(([kind, share], index) => {
    const key = index === 0 ? name : `${name} (${kind})`;
    return [
      key,
      {
        name: key,
        accelerator_type: kind,
        total: { accelerator_count: share.total },
        free: { accelerators_available: share.free },
        ip_address: address,
        cpu_count: cpus.total,
        memory_gb: memoryGib.total,
        cpu_free: cpus.free,
        memory_free_gb: memoryGib.free,
        is_ready: problem === undefined,
      },
    ];
  });
}

import { nodeOf } from "../../shared/yaml-node.ts";
import { pyRepr } from "../../shared/yaml-repr.ts";
import { hardwareText } from "../optimizer/place-text.ts";
import { formatAmount } from "../optimizer/ruled-table.ts";
import type { Cluster } from "./cluster.ts";
import type { SshCredentials } from "./ssh-credentials.ts";

/** The handle as it goes over the wire; official clients rebuild their object from it. */
export interface Handle {
  readonly cluster_name: string;
  readonly cluster_name_on_cloud: string;
  readonly cluster_yaml: null;
  readonly launched_nodes: number;
  readonly launched_resources: Readonly<Record<string, unknown>>;
  readonly stable_internal_external_ips: readonly (readonly [string, string])[] | null;
  readonly stable_ssh_ports: readonly number[] | null;
  readonly ssh_user: string | null;
  readonly docker_user: null;
  readonly is_grpc_enabled: boolean;
  readonly provision_runtime_metadata: null;
}

export interface StatusRecord {
  readonly name: string;
  /** Seconds. */
  readonly launched_at: number;
  readonly handle?: Handle;
  readonly last_use: string;
  readonly status: string;
  readonly autostop: number;
  readonly to_down: boolean;
  readonly owner?: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly cluster_hash: string;
  readonly cluster_ever_up: boolean;
  readonly status_updated_at: number;
  readonly user_hash: string;
  readonly user_name: string;
  readonly config_hash?: string;
  readonly workspace: string;
  readonly last_creation_yaml?: string;
  readonly last_creation_command?: string;
  readonly is_managed: boolean;
  readonly last_event?: string;
  readonly init_kind?: "launching" | "unhealthy";
  readonly init_status_reason?: string;
  readonly resources_str: string;
  readonly resources_str_full: string;
  readonly nodes: number;
  readonly cloud: string;
  readonly region: string;
  readonly cpus: string;
  readonly memory: string;
  readonly accelerators?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly cluster_name_on_cloud: string;
  readonly node_names: string;
  readonly priority: number;
  readonly links: Readonly<Record<string, string>>;
  readonly storage_mounts_metadata: string;
  readonly credentials?: SshCredentials;
  /** USD per hour; null = unknown. */
  readonly cost_per_hour?: number | null;
  /** USD since the launch. */
  readonly total_cost?: number;
}

/** Pickled None: official clients unpickle the field and never look at it. */
const PICKLED_NONE = "gAROLg==";
/** Phases of INIT in which a request is at work on the cluster. */
const LAUNCHING = new Set(["provisioning", "runtime_setup"]);

export function toHandle(cluster: Cluster, wireInfra: string): Handle {
  const { row, instances } = cluster;
  return {
    cluster_name: row.name,
    cluster_name_on_cloud: row.name_on_cloud,
    cluster_yaml: null,
    launched_nodes: row.num_nodes,
    launched_resources: launchedResources(cluster, wireInfra),
    // Official clients log in through the head, which reaches some nodes elsewhere than users do; our own go by the credentials.
    stable_internal_external_ips:
      instances.length === 0
        ? null
        : instances.map(({ internalIp, externalIp, sshInside }) => [
            internalIp,
            sshInside?.address ?? externalIp ?? internalIp,
          ]),
    stable_ssh_ports:
      instances.length === 0 ? null : instances.map(({ sshInside, sshPort }) => sshInside?.port ?? sshPort),
    ssh_user: instances[0]?.sshUser ?? null,
    docker_user: null,
    is_grpc_enabled: true,
    provision_runtime_metadata: null,
  };
}

/** One `resources` map of a task file, from which clients draw INFRA and RESOURCES. */
export function launchedResources(
  cluster: Pick<Cluster, "offer" | "ports" | "labels">,
  wireInfra: string,
): Readonly<Record<string, unknown>> {
  const { offer, ports, labels } = cluster;
  const { accelerators } = offer.resources;
  return {
    infra: wireInfra,
    // Official clients cannot compute a price without it.
    instance_type: offer.instanceType,
    cpus: formatAmount(offer.resources.cpus),
    memory: formatAmount(offer.resources.memoryGib),
    ...(Object.keys(accelerators).length > 0 ? { accelerators } : {}),
    ...(offer.useSpot ? { use_spot: true } : {}),
    ...(ports.length > 0 ? { ports } : {}),
    ...(offer.container === undefined ? {} : { image_id: `docker:${offer.container}` }),
    ...(Object.keys(labels).length > 0 ? { labels } : {}),
  };
}

/** `1x(cpus=2, mem=8, m6i.large, ...)`, and in full. */
export function resourcesText(offer: Cluster["offer"], numNodes: number, isFull: boolean): string {
  return `${numNodes}x${offer.useSpot ? "[spot]" : ""}(${hardwareText(offer, isFull)})`;
}

export interface RecordOptions {
  readonly displayName: string;
  readonly wireInfra: string;
  readonly includeHandle: boolean;
  /** Leaves out the long fields. */
  readonly isSummary: boolean;
  readonly credentials?: SshCredentials;
  readonly costs?: Pick<StatusRecord, "cost_per_hour" | "total_cost">;
}

/** A cluster as `sky status` gets it. Absent fields are left out, as the original does. */
export function toStatusRecord(cluster: Cluster, options: RecordOptions): StatusRecord {
  const { row, offer } = cluster;
  const { accelerators } = offer.resources;
  return {
    name: row.name,
    launched_at: Math.floor(row.launched_at / 1000),
    ...(options.includeHandle ? { handle: toHandle(cluster, options.wireInfra) } : {}),
    last_use: row.last_use ?? "",
    status: row.status,
    autostop: row.autostop,
    to_down: row.to_down !== 0,
    ...(row.owner === null ? {} : { owner: JSON.parse(row.owner) as readonly string[] }),
    metadata: {},
    cluster_hash: row.cluster_hash,
    cluster_ever_up: row.cluster_ever_up !== 0,
    status_updated_at: Math.floor(row.status_updated_at / 1000),
    user_hash: row.user_hash,
    user_name: row.user_name,
    ...(row.config_hash === null ? {} : { config_hash: row.config_hash }),
    workspace: row.workspace,
    ...(options.isSummary ? {} : longFields(cluster)),
    is_managed: row.is_managed !== 0,
    ...(row.status === "INIT" ? initFields(cluster) : {}),
    resources_str: resourcesText(offer, row.num_nodes, false),
    resources_str_full: resourcesText(offer, row.num_nodes, true),
    nodes: row.num_nodes,
    cloud: options.displayName,
    region: row.region,
    cpus: formatAmount(offer.resources.cpus),
    memory: offer.resources.memoryGib.toFixed(1),
    ...(Object.keys(accelerators).length > 0 ? { accelerators: acceleratorsText(accelerators) } : {}),
    labels: cluster.labels,
    cluster_name_on_cloud: row.name_on_cloud,
    node_names: cluster.instances.map((instance) => instance.id).join(","),
    priority: 0,
    links: {},
    storage_mounts_metadata: PICKLED_NONE,
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
    ...options.costs,
  };
}

/** As Python prints the map: `{'T4': 1}`. */
export function acceleratorsText(accelerators: Readonly<Record<string, number>>): string {
  return pyRepr(nodeOf(accelerators));
}

function longFields(cluster: Cluster): Partial<StatusRecord> {
  const { row } = cluster;
  return {
    ...(row.last_creation_yaml === null ? {} : { last_creation_yaml: row.last_creation_yaml }),
    ...(row.last_creation_command === null ? {} : { last_creation_command: row.last_creation_command }),
    ...(row.last_event === null ? {} : { last_event: row.last_event }),
  };
}

function initFields(cluster: Cluster): Partial<StatusRecord> {
  const { row } = cluster;
  return {
    init_kind: LAUNCHING.has(row.phase) ? "launching" : "unhealthy",
    ...(row.last_event === null ? {} : { init_status_reason: row.last_event }),
  };
}

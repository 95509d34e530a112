import type { Agent as HttpAgent } from "node:http";
import type { Agent as HttpsAgent } from "node:https";
import type { NodeConfig, NodeResources, RegistryLogin } from "../../shared/agent/protocol.ts";
import type { Runner } from "./runner.ts";

export type Capability = "compute" | "storage";

/** Who and with which settings a cloud is called; built per request. */
export interface CloudContext {
  readonly workspace: string;
  /** The effective config of this request, already validated. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Credentials-related variables that the client forwarded (local server only). */
  readonly env: Readonly<Record<string, string>>;
  /** Whether the client runs on this machine, so that its credentials are those found here. */
  readonly isLocalClient?: boolean;
  /** Whether services are called without any credentials, for what is public. */
  readonly isAnonymous?: boolean;
  readonly signal: AbortSignal;
  /** Shows a line to the user who waits; absent where nobody does. */
  readonly say?: (line: string) => void;
}

export interface CheckOptions {
  /** Also finds out what takes longer, for `check -v`: what the credentials may do. */
  readonly isVerbose?: boolean;
  /** The user asked for the check itself: what later requests would have to ask for is asked for as well. */
  readonly isFull?: boolean;
}

export interface CheckResult {
  readonly enabled: readonly Capability[];
  /** Why the other capabilities are off, with the command that repairs it. */
  readonly reasons: readonly { readonly capabilities: readonly Capability[]; readonly text: string }[];
  /** For `check -v`: lines such as `Activated account: …`. */
  readonly details: readonly string[];
  /** The account as `check` shows it after `Activated account: `, e.g. `AIDAXXXX [account=123456789012]`. */
  readonly account?: string;
  /** Places of the user's own that can be used or not, each by itself, e.g. pools of machines. They tell what `reasons` sum up. */
  readonly places?: {
    readonly title: string;
    readonly list: readonly {
      readonly name: string;
      readonly isEnabled: boolean;
      /** What is wrong with all of it or, when it is enabled, with a part. */
      readonly problem?: string;
    }[];
  };
  /** What the user should know about capabilities that are on. */
  readonly hints?: readonly { readonly capabilities: readonly Capability[]; readonly text: string }[];
}

/** The credentials that a cloud would use now; nothing in it is secret. */
export interface CredentialSummary {
  /** As the provider's own tools name it, e.g. `sso`. */
  readonly kind: string;
  /** File, endpoint or variables that they come from. */
  readonly source: string;
  readonly profile?: string;
  readonly region?: string;
  /** Absent = they do not expire. */
  readonly expiresAtMs?: number;
}

/** With what another adapter calls the cloud's services, e.g. an object store. */
export interface ServiceAccess {
  /** Region of calls that name none. */
  readonly region: string;
  /** URL that is not the provider's own. */
  readonly endpoint?: string;
  /** Whether a server of its own answers there, which has one region and knows nothing of the provider's accounts. */
  readonly isApart?: boolean;
  /** Whether calls are not signed: there are no credentials then. */
  readonly isAnonymous?: boolean;
  /** Asked before each call, so that refreshed keys count at once. */
  credentials(): Promise<ServiceCredentials>;
  /** Opens connections that go through the caller's proxy and trust the caller's certificates; absent = straight. */
  readonly openAgents?: () => HttpAgents;
  /** Keys for others, which may do what a policy allows and nothing else, and which end. Throws when these credentials can give none. */
  readonly lend?: (wish: LendWish) => Promise<LentCredentials>;
  /** Makes refusals of the calls of a client of the provider's SDK into errors that name the permission. */
  explainRefusals(client: object, region: string): void;
}

/** Connections of Node's HTTP clients; whoever opens them destroys them. */
export interface HttpAgents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
}

export interface ServiceCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

export interface LendWish {
  /** JSON in the provider's own form. */
  readonly policy: string;
  /** Tells in the provider's logs for whom they were made. */
  readonly sessionName: string;
  readonly cluster: Borrower;
}

/** The cluster whose nodes get keys: what the config says of these may differ from cluster to cluster. */
export interface Borrower {
  readonly clusterName: string;
  /** Registry key, with the region there; absent = it is not decided yet. */
  readonly cloud?: string;
  readonly region?: string;
  /** The `config:` block of its task. */
  readonly config?: Readonly<Record<string, unknown>>;
}

export interface LentCredentials extends ServiceCredentials {
  /** By which way they were got, e.g. `role arn:…`. */
  readonly how: string;
  /** Whether the config names this way, so that it goes before what nodes may do by themselves. */
  readonly isConfigured: boolean;
  /** Id of the keys that they were made from, where they end when those are taken back. */
  readonly issuer?: string;
  /** Whether these are the caller's own keys, which may do more and do not end. */
  readonly isUncut?: boolean;
}

/** What a cloud's own command may use besides the cloud's context. */
export interface CloudCommandContext extends CloudContext {
  /** Shows a line to the user who waits. */
  readonly say: (line: string) => void;
  /** Asks the user's terminal to open a page; the line that names the URL is said separately. */
  readonly openUrl: (url: string) => void;
}

/** A command that only this cloud has, e.g. `login`; arguments and answer are plain JSON. */
export interface CloudCommand {
  run(args: Readonly<Record<string, unknown>>, context: CloudCommandContext): Promise<unknown>;
}

/** One task's wish for a node, already normalised. */
export interface OfferRequest {
  readonly numNodes: number;
  readonly region?: string;
  readonly zone?: string;
  readonly instanceType?: string;
  readonly cpus?: { readonly count: number; readonly orMore: boolean };
  /** GiB, or a multiple of the vCPUs when `perCpu`. */
  readonly memory?: { readonly amount: number; readonly orMore: boolean; readonly perCpu: boolean };
  readonly accelerators: Readonly<Record<string, number>>;
  readonly useSpot: boolean;
  readonly ports: readonly string[];
  readonly imageId?: string;
  readonly diskGib: number;
  readonly diskTier?: string;
  /** Canonical `mode:size[+]`, e.g. `nvme:400+`. */
  readonly localDisk?: string;
  readonly maxUsdPerHour?: number;
}

/** A place that can run the task now, with its price. */
export interface Offer {
  readonly cloud: string;
  readonly region: string;
  /** Null = no zone was chosen: the core tries those of `zones` one after the other, or lets the cloud choose. */
  readonly zone: string | null;
  /** Zones of the region that have the type at this price, best first; each is an attempt of its own. */
  readonly zones?: readonly string[];
  readonly instanceType: string;
  /** Types that share a quota with this one, as the provider groups them; absent = the type alone. */
  readonly quotaFamily?: string;
  readonly resources: NodeResources;
  readonly useSpot: boolean;
  /** For one node; null = unknown. */
  readonly priceUsdPerHour: number | null;
  /** What the place sets aside for one node where that is less than `resources` (machines that are shared). */
  readonly reserved?: NodeResources;
  /** Image of the container in which the cluster's tasks run; set by the core, clouds carry it along. */
  readonly container?: string;
  /** What one node costs besides the instance, whatever it does; absent = nothing. */
  readonly extras?: OfferExtras;
  /** Day of the price, `2026-07-20`; absent where prices do not age. */
  readonly pricedAt?: string;
  /** Nodes that a reservation of the account has paid for. */
  readonly prepaidNodes?: number;
  /** E.g. `x86_64`, `arm64`. */
  readonly arch?: string;
  /** Memory of one accelerator. */
  readonly acceleratorMemoryGib?: number;
  /** Disks of the instance itself, together. */
  readonly localDiskGb?: number;
}

/** Per node; null = unknown. */
export interface OfferExtras {
  /** Also while the node is stopped. */
  readonly diskUsdPerHour: number | null;
  /** Of a public address, while the node runs. */
  readonly ipUsdPerHour: number | null;
}

/** Which offers an account wants to use, and for how many nodes. */
export interface LimitsQuestion {
  readonly offers: readonly Offer[];
  readonly numNodes: number;
}

/** Whether the account may have the nodes of an offer now. */
export interface OfferLimit {
  /** Why not, as far as the provider says; absent = nothing speaks against it. */
  readonly refusal?: string;
  /** What could not be found out, and why. */
  readonly notes: readonly string[];
}

export interface OfferSet {
  readonly offers: readonly Offer[];
  /** What was considered and dropped, and why. */
  readonly rejected: readonly { readonly what: string; readonly reason: string }[];
  /** Names that come close to what was asked, e.g. `H100:8`. */
  readonly suggestions: readonly string[];
  /** Instance types that have the accelerators asked for, cheapest first, when the request left the choice of the type open. */
  readonly alternatives?: readonly string[];
}

/** What a task asks of each node besides its size. Clouds take what they know. */
export interface NodeWish {
  readonly diskGib: number;
  readonly diskTier?: string;
  readonly networkTier?: "standard" | "best";
  /** Of the region of the offer. */
  readonly imageId?: string;
  /** The `config:` block of the task. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** What happens to a node that powers itself off. */
  readonly onPowerOff: "stop" | "terminate";
  /** Who may log in, as lines of `authorized_keys`. The cluster's key is made when a cloud asks for it. */
  readonly publicKeys: () => readonly string[];
  /** For tags, and for a database that has to be rebuilt. */
  readonly userName: string;
  readonly userHash: string;
  readonly workspace: string;
  readonly clusterHash: string;
}

export interface ClusterSpec {
  readonly clusterName: string;
  readonly nameOnCloud: string;
  readonly numNodes: number;
  /** `offer.zone` is the zone of this attempt; null = the cloud chooses. */
  readonly offer: Offer;
  /** Indices of the nodes to create. Decided before, and journaled with the token: the same token always comes with the same ones. */
  readonly create: readonly number[];
  /** Ids of stopped instances to start. */
  readonly start: readonly InstanceId[];
  /** Resources that each node of the cluster holds. */
  readonly perNode: NodeResources;
  readonly ports: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly node: NodeWish;
}

export interface ClusterRef {
  readonly clusterName: string;
  readonly nameOnCloud: string;
  readonly region: string;
  readonly zone: string | null;
  /** The cluster's own key, and the host keys of its nodes; absent for clusters of this machine alone. */
  readonly ssh?: { readonly keyFile: string; readonly knownHostsFile: string };
  /** The `config:` block of the task that made it: it goes before the config of the request. */
  readonly config?: Readonly<Record<string, unknown>>;
}

export type InstanceId = string;

export type InstanceState = "pending" | "running" | "stopping" | "stopped" | "terminated";

export interface Instance {
  readonly id: InstanceId;
  /** Position in the cluster: 0 is the head. */
  readonly index: number;
  readonly state: InstanceState;
  readonly internalIp: string;
  readonly externalIp: string | null;
  readonly sshPort: number;
  /** Account for logins by SSH; absent = whoever asks is to know. */
  readonly sshUser?: string;
  /** Where the other nodes reach its SSH server, when that is neither `externalIp` nor `sshPort`. */
  readonly sshInside?: { readonly address: string; readonly port: number };
  /** How the cloud reaches it, decided when it was created, in the cloud's own words; absent = as its settings say. */
  readonly via?: string;
  /** A stopped one that powered itself off, by its own timer or by a program on it; absent = not known. */
  readonly isSelfStopped?: boolean;
  /** When it was last switched on, in milliseconds; it may still be booting then. Absent = long ago. */
  readonly startedAtMs?: number;
  /** When it was made, in milliseconds, however often it was switched on since; absent = not known. */
  readonly createdAtMs?: number;
  /** Directory of the agent on the node. */
  readonly agentRoot: string;
  /** Where the agent's bundle and runtime are kept by content hash, e.g. `/home/me/.sky/agent`. */
  readonly installDir: string;
  /** HOME of the tasks on the node. */
  readonly home: string;
  readonly resources: NodeResources;
  /** Indices on the machine of the accelerators that belong to the node; absent = all of them. */
  readonly deviceIndices?: readonly number[];
}

/** How a catalog is made new. */
export interface CatalogRefresh {
  /** Only these; what is known of the others stays. */
  readonly regions?: readonly string[];
  /** Asks again also for what is known and fresh. */
  readonly isForced: boolean;
  /** Shows a line to the user who waits. */
  readonly say: (line: string) => void;
  /** Shows what goes on at the moment. */
  readonly spin: (message: string) => void;
}

/** A copy of a disk: its name is all that tells it from others. */
export interface DiskCopy {
  readonly name: string;
  /** Where nodes are to start from it. */
  readonly region: string;
}

export interface SavedDisk {
  /** For NodeWish.imageId. */
  readonly imageId: string;
}

export interface SavedDisks {
  /**
   * Begins to copy the disk of the only node of a stopped cluster, or goes on with it; undefined = not ready, ask again. The same name
   * never makes two copies.
   */
  save(source: ClusterRef, copy: DiskCopy, context: CloudContext): Promise<SavedDisk | undefined>;
  /** Removes all that `save` made under the name; nodes that started from it stay as they are. Succeeds when nothing is there. */
  drop(source: ClusterRef, copy: DiskCopy, context: CloudContext): Promise<void>;
}

/** A cluster as its resources on the cloud tell of it, whoever made it. */
export interface FoundCluster {
  readonly ref: ClusterRef;
  /** Empty when only other things are left, such as firewall rules. */
  readonly instances: readonly Instance[];
  readonly numNodes: number;
  readonly instanceType: string;
  readonly useSpot: boolean;
  readonly ports: readonly string[];
  readonly userName: string;
  /** Undefined where the resources do not tell: they were made by another program. */
  readonly origin: { readonly userHash: string; readonly workspace: string; readonly clusterHash: string } | undefined;
}

/** An amount of a machine that clusters share. */
export interface Share {
  readonly total: number;
  /** Not set aside for a cluster. */
  readonly free: number;
}

/** A machine of the user's own, and what of it is free at the moment. */
export interface MachineUse {
  readonly name: string;
  readonly address: string | null;
  readonly cpus: Share;
  readonly memoryGib: Share;
  /** By canonical name. */
  readonly gpus: Readonly<Record<string, Share>>;
  /** Why it cannot be used now; what it has is what was known before, and nothing of it is free. */
  readonly problem?: string;
}

export interface MachineGroup {
  /** As `--infra` takes it after the cloud's name. */
  readonly region: string;
  readonly machines: readonly MachineUse[];
}

/** A cloud adapter. Every call is idempotent, takes the context's signal and returns soon; the core owns waiting. */
export interface Cloud {
  /** Registry key, lower case. */
  readonly name: string;
  /** As tables show it. */
  readonly displayName: string;
  /** `infra` spellings on the wire that mean this cloud besides its name, e.g. `ssh/local`. */
  readonly wireInfra: (region: string, zone: string | null) => string;
  readonly power: "leave" | "poweroff";
  /** Where spot nodes learn that they are taken back; absent = nowhere. */
  readonly notices?: NonNullable<NodeConfig["notices"]>;
  /** False for a cloud that can be checked but cannot run nodes yet; launches leave it out. */
  readonly hasNodes?: boolean;
  /** It holds data, and never runs nodes. */
  readonly isStoreOnly?: boolean;
  /** `offers` answers although nodes cannot run yet, so that launches can be planned. */
  readonly canPlan?: boolean;
  /** Whether tasks that name no infra may run here: always (absent), only while no other cloud is enabled, or never. */
  readonly unnamedUse?: "alone" | "never";
  /** Whether `check` asks a service: launches and lists then go by its last answer. */
  readonly checksOverNetwork?: boolean;
  readonly maxNameLength: number;
  check(context: CloudContext, options?: CheckOptions): Promise<CheckResult>;
  /** Stable identity (account + user or role), null where a cloud has none. */
  identity(context: CloudContext): Promise<readonly string[] | null>;
  offers(request: OfferRequest, context: CloudContext): Promise<OfferSet>;
  /**
   * What the account's own limits (quotas, rights) say of offers, one answer for each in their order. Asks the provider, for a few
   * seconds at most; what cannot be found out is a note, never an error.
   */
  readonly limits?: (question: LimitsQuestion, context: CloudContext) => Promise<readonly OfferLimit[]>;
  /** How long a new instance may be missing from `query`, in milliseconds; absent = it is seen at once. */
  readonly consistencyMs?: number;
  /**
   * Creates `spec.create` and starts `spec.start`, each instance tagged with the cluster's name and its index from the moment that it
   * exists. The same token never creates twice, whatever `query` shows. What came up before a failure is left to the caller to
   * terminate. Throws NoCapacityError (zone), QuotaExceededError (region, family, purchase option), RegionUnusableError,
   * CloudAccessError (the whole cloud), CloudBusyError (nothing happened, ask again), UnknownOutcomeError (no answer); any other
   * SkyError is about the request itself and ends the launch.
   */
  run(spec: ClusterSpec, token: string, context: CloudContext): Promise<void>;
  /** Every instance that carries the cluster's name, also stopped ones; [] when none is left. Throws when it cannot know. */
  query(cluster: ClusterRef, context: CloudContext): Promise<readonly Instance[]>;
  /** The same for several clusters of one region in few calls; the answers come in the clusters' order. */
  readonly queryMany?: (
    clusters: readonly ClusterRef[],
    context: CloudContext,
  ) => Promise<readonly (readonly Instance[])[]>;
  /** Succeeds when nothing is left (of `only`), also when nothing was there. */
  terminate(cluster: ClusterRef, context: CloudContext, only?: readonly InstanceId[]): Promise<void>;
  readonly stop?: (cluster: ClusterRef, context: CloudContext, only?: readonly InstanceId[]) => Promise<void>;
  /** Why nodes of this offer cannot be stopped, where some can; undefined = they can. */
  readonly whyNoStop?: (offer: Offer) => string | undefined;
  /** Disks of stopped clusters, for new ones to start from; absent where they cannot be copied. */
  readonly savedDisks?: SavedDisks;
  /** Changes what happens to nodes that power themselves off. */
  readonly setPowerOff?: (
    cluster: ClusterRef,
    onPowerOff: NodeWish["onPowerOff"],
    context: CloudContext,
  ) => Promise<void>;
  /** Every cluster in every region of the account. */
  readonly findClusters?: (context: CloudContext) => Promise<readonly FoundCluster[]>;
  /** Why nodes that are gone went, as far as the provider says; undefined = it does not. */
  readonly explainLoss?: (cluster: ClusterRef, context: CloudContext) => Promise<string | undefined>;
  readonly openPorts?: (cluster: ClusterRef, ports: readonly string[], context: CloudContext) => Promise<void>;
  /** The credentials in use, null when there are none; throws when they cannot be had. */
  readonly credentials?: (context: CloudContext) => Promise<CredentialSummary | null>;
  /** What is known of the credentials in use without asking anybody; undefined = not loaded in this process. */
  readonly knownCredentials?: (context: CloudContext) => CredentialSummary | undefined;
  /** Makes the cloud's catalog new from what the cloud itself says, region by region; goes on where an earlier run ended. */
  readonly refreshCatalog?: (wish: CatalogRefresh, context: CloudContext) => Promise<void>;
  /** Keys and place for adapters of the cloud's other services. Throws when there are no credentials. */
  readonly serviceAccess?: (service: string, context: CloudContext) => ServiceAccess;
  /**
   * Logs in to the registry that an image names, as the caller; undefined = it is not one of this cloud's, or there are no credentials.
   * Throws when the cloud refuses.
   */
  readonly registryLogin?: (image: string, context: CloudContext) => Promise<RegistryLogin | undefined>;
  /** What `--infra` takes, where that is more than the cloud's name. */
  readonly infras?: (context: CloudContext) => readonly string[];
  /** Asks the machines of one region, or of all, what of them is free. */
  readonly machines?: (context: CloudContext, region?: string) => Promise<readonly MachineGroup[]>;
  /** Commands that only this cloud has, by name: `sky <cloud> <name>`. */
  readonly commands?: Readonly<Record<string, CloudCommand>>;
  /** OpenSSH's ProxyCommands by which users reach the nodes, by index; null (or absent) = directly, at the external address. */
  readonly sshProxyCommands?: (
    cluster: ClusterRef,
    context: CloudContext,
    instances: readonly Instance[],
  ) => Promise<readonly (string | null)[]>;
  /** How to reach an instance. */
  runner(instance: Instance, cluster: ClusterRef, context: CloudContext): Promise<Runner>;
}

/** Finds a cloud by registry key; loads its code on first use. */
export interface CloudRegistry {
  names(): readonly string[];
  /** Clouds that are not among `names` until the user asks for them, each with the command that does. */
  readonly optIn?: Readonly<Record<string, string>>;
  load(name: string): Promise<Cloud>;
}

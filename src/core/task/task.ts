import type { ResourceChoice } from "../resources/resources.ts";
import type { Secret } from "../../shared/secret.ts";

/** One task of a DAG: validated, canonical, frozen. */
export interface Task {
  readonly name?: string | undefined;
  readonly numNodes: number;
  readonly resources: ResourceChoice;
  /** Lifecycle hooks of `config.hooks`. */
  readonly hooks: readonly LifecycleHook[];
  readonly envs: Readonly<Record<string, string>>;
  /** Inline secrets; they override envs of the same name in the task's environment. */
  readonly secrets: Readonly<Record<string, Secret>>;
  /** Names of secrets that the server's secret provider fills in (null or `secrets:` entries). */
  readonly managedSecretNames: readonly string[];
  /** The `managed_secrets` list as written. */
  readonly managedSecrets: readonly unknown[];
  readonly setup?: string | undefined;
  readonly run?: string | undefined;
  readonly workdir?: Workdir | undefined;
  /** Destination → local path or bucket URI. */
  readonly fileMounts: Readonly<Record<string, string>>;
  /** Destination → storage object. */
  readonly storageMounts: Readonly<Record<string, StorageSpec>>;
  /** Path as used in the task → absolute path on the client; present when files were uploaded. */
  readonly fileMountsMapping?: Readonly<Record<string, string>> | undefined;
  readonly volumes: Readonly<Record<string, VolumeSpec>>;
  readonly volumeMounts?: readonly unknown[] | undefined;
  readonly service?: ServiceSpec | undefined;
  readonly pool?: PoolSpec | undefined;
  readonly inputs?: DataEstimate | undefined;
  readonly outputs?: DataEstimate | undefined;
  readonly eventCallback?: string | undefined;
  readonly apiServerAccess: boolean;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The user's text, for display. */
  readonly userSpecifiedYaml?: string | undefined;
}

export type Workdir =
  | { readonly kind: "dir"; readonly path: string }
  | { readonly kind: "git"; readonly url: string; readonly ref?: string | undefined };

export type HookEvent = "stop" | "preemption" | "down";

export interface LifecycleHook {
  readonly run: string;
  readonly events: readonly HookEvent[];
  /** Seconds. */
  readonly timeout: number;
}

export type StorageMode = "MOUNT" | "COPY" | "MOUNT_CACHED";

export interface StorageSpec {
  readonly name?: string | undefined;
  readonly source?: string | readonly string[] | undefined;
  /** Upper case, such as `S3`. */
  readonly store?: string | undefined;
  readonly persistent: boolean;
  readonly mode: StorageMode;
  readonly type?: string | undefined;
  readonly config?: Readonly<Record<string, unknown>> | undefined;
  /** Internal keys (`_is_sky_managed`, `_bucket_sub_path`, `_force_delete`) as they came. */
  readonly internal: Readonly<Record<string, unknown>>;
}

/** A volume by name, or the map as written (ephemeral, host path, sub path). */
export type VolumeSpec = string | Readonly<Record<string, unknown>>;

export interface DataEstimate {
  readonly uri: string;
  readonly gigabytes: number;
}

export interface ReadinessProbe {
  readonly path: string;
  readonly initialDelaySeconds?: number | undefined;
  readonly timeoutSeconds?: number | undefined;
  readonly endpointProbeIntervalSeconds?: number | undefined;
  readonly consecutiveFailureThresholdTimeout?: number | undefined;
  readonly postData?: unknown;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface ServiceSpec {
  readonly readinessProbe: ReadinessProbe;
  readonly minReplicas: number;
  readonly maxReplicas?: number | undefined;
  readonly numOverprovision?: number | undefined;
  readonly targetQpsPerReplica?: number | Readonly<Record<string, number>> | undefined;
  readonly dynamicOndemandFallback?: boolean | undefined;
  readonly baseOndemandFallbackReplicas?: number | undefined;
  readonly spotPlacer?: string | undefined;
  readonly upscaleDelaySeconds?: number | undefined;
  readonly downscaleDelaySeconds?: number | undefined;
  readonly ports?: number | undefined;
  readonly loadBalancingPolicy?: string | undefined;
  readonly streamTimeoutSeconds?: number | undefined;
  readonly tls?: { readonly keyfile: string; readonly certfile: string } | undefined;
}

export interface PoolSpec {
  readonly workers?: number | undefined;
  readonly minWorkers?: number | undefined;
  readonly maxWorkers?: number | undefined;
  readonly queueLengthThreshold?: number | undefined;
  readonly upscaleDelaySeconds?: number | undefined;
  readonly downscaleDelaySeconds?: number | undefined;
}

/** A single task, a pipeline (serial) or a job group (parallel). */
export interface Dag {
  readonly name?: string | undefined;
  readonly execution: "serial" | "parallel";
  readonly tasks: readonly Task[];
  readonly primaryTasks?: readonly string[] | undefined;
  /** Seconds; a number, `30s`, or per job, as written. */
  readonly terminationDelay?: string | number | Readonly<Record<string, string | number>> | undefined;
  readonly interConnection?: boolean | undefined;
}

/** What one candidate place must offer. Every field but `infra` is absent when the user did not ask for it. */
export interface Resources {
  readonly infra: Infra;
  readonly instanceType?: string | undefined;
  /** vCPUs as printed: `4`, `4+`, `0.5`. */
  readonly cpus?: string | undefined;
  /** GiB as printed: `16`, `16+`, or `2x` (GiB per vCPU). */
  readonly memory?: string | undefined;
  /** One kind of accelerator: its canonical name and its count (a fraction shares one device). */
  readonly accelerators?: AcceleratorRequest | undefined;
  readonly acceleratorArgs?: Readonly<Record<string, unknown>> | undefined;
  /** An explicit `false` is printed back, so it differs from absent. */
  readonly useSpot?: boolean | undefined;
  readonly jobRecovery?: JobRecovery | undefined;
  /** Absent means the default of 256 GiB. */
  readonly diskSizeGib?: number | undefined;
  readonly diskTier?: DiskTier | undefined;
  readonly networkTier?: "standard" | "best" | undefined;
  /** Canonical `mode:size[+]`. */
  readonly localDisk?: string | undefined;
  readonly maxHourlyCostUsd?: number | undefined;
  /** Sorted, consecutive ports joined: `8080`, `9000-9010`. */
  readonly ports?: readonly string[] | undefined;
  /** Image by region; the key null is "any region", the key `docker` a container on top of the image. */
  readonly imageId?: ReadonlyMap<string | null, string> | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** `false` is "explicitly off". */
  readonly autostop?: Autostop | false | undefined;
  readonly priority?: number | undefined;
  readonly priorityClass?: string | undefined;
  readonly volumes?: readonly unknown[] | undefined;
  /** The task's `config:` block with `--config` folded in; only keys a task may override. */
  readonly clusterConfigOverrides?: Readonly<Record<string, unknown>> | undefined;
  readonly dockerLogin?: DockerLogin | undefined;
  /** The request named a memory size instead of a device, so missing devices produce no warning. */
  readonly noMissingAcceleratorWarnings?: boolean | undefined;
  /** Internal keys of the wire that are carried through unread (`_is_image_managed`, `_requires_fuse` ...). */
  readonly internal?: Readonly<Record<string, unknown>> | undefined;
}

/** Where: each absent part means "any". `cloud` is lower-case (`aws`, `kubernetes`, `ssh` ...); an SSH pool `p` is region `ssh-p`. */
export interface Infra {
  readonly cloud?: string | undefined;
  readonly region?: string | undefined;
  readonly zone?: string | undefined;
}

export interface AcceleratorRequest {
  readonly name: string;
  readonly count: number;
}

export interface JobRecovery {
  /** Upper case; null when the user wrote null. */
  readonly strategy?: string | null | undefined;
  readonly maxRestartsOnErrors?: number | undefined;
  readonly recoverOnExitCodes?: readonly number[] | undefined;
  /** Sub-keys that we do not know, carried to the server. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined;
}

export type DiskTier = "low" | "medium" | "high" | "ultra" | "best";

export type AutostopWaitFor = "jobs_and_ssh" | "jobs" | "none";

export interface Autostop {
  /** 0 stops as soon as the cluster is idle; negative switches autostop off. */
  readonly idleMinutes: number;
  readonly down: boolean;
  readonly waitFor?: AutostopWaitFor | undefined;
}

export interface DockerLogin {
  readonly username: string;
  readonly password: string;
  readonly server: string;
}

/** The candidates of a task: one, a set (`any_of`, in the written order) or a preference list (`ordered`). */
export interface ResourceChoice {
  readonly kind: "single" | "any_of" | "ordered";
  readonly candidates: readonly Resources[];
}

/**
 * What only a catalog knows. Checks that need it are skipped when it is absent, so that the client can validate without one.
 */
export interface CatalogFacts {
  /** The canonical spelling of an accelerator, or undefined for an unknown one. */
  canonicalAccelerator(name: string): string | undefined;
  /** What an instance type on a cloud (any cloud when undefined) has; undefined when no such type exists. */
  instanceType(name: string, cloud?: string): InstanceTypeFacts | undefined;
  regions(cloud: string): readonly string[];
  zones(cloud: string, region?: string): readonly string[];
  /** Names of accelerators with that device memory (or at least that, with `atLeast`), optionally of one manufacturer. */
  acceleratorsWithMemory(
    gib: number,
    options: { readonly atLeast: boolean; readonly manufacturer?: string },
  ): readonly string[];
}

export interface InstanceTypeFacts {
  readonly vcpus: number;
  readonly memoryGib: number;
  readonly accelerators?: AcceleratorRequest | undefined;
}

export const DEFAULT_DISK_SIZE_GIB = 256;

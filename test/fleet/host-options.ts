/** An account on a host. */
export interface HostUser {
  readonly name: string;
  /** Default: /bin/bash. */
  readonly shell?: string;
  /** Absent = no password works. */
  readonly password?: string;
  /** Lines of ~/.ssh/authorized_keys; default: the fleet's own key. */
  readonly authorizedKeys?: readonly string[];
  /** Text of ~/.bashrc instead of the distribution's, e.g. one that prints. */
  readonly bashrc?: string;
  /** False: no ~/.profile and no ~/.bashrc. */
  readonly hasProfile?: boolean;
}

/** What `sshd` allows and how it behaves. */
export interface SshdOptions {
  /** Default 22. */
  readonly port?: number;
  /** Whether passwords are accepted besides keys; default false. */
  readonly passwords?: boolean;
  /** Whether keys are accepted; default true. */
  readonly keys?: boolean;
  /** Text shown before authentication. */
  readonly banner?: string;
  /** How long each session waits before its command begins. */
  readonly slowLoginMs?: number;
  /** Further lines of sshd_config, e.g. `{ MaxStartups: "2:100:2", MaxSessions: "1" }`. */
  readonly config?: Readonly<Record<string, string>>;
}

/**
 * What a host reaches besides the other hosts: `open` the services outside (those that a test put there), `none` nothing, with an
 * error at once, `silent` nothing, and packets vanish.
 */
export type Egress = "open" | "none" | "silent";

export interface HostOptions {
  readonly name: string;
  /** Default: one user `dev`. root can log in with the same keys. */
  readonly users?: readonly HostUser[];
  readonly sshd?: SshdOptions;
  /** Default: none. */
  readonly egress?: Egress;
  /** Products that `nvidia-smi` names, e.g. `["NVIDIA L4", "NVIDIA L4"]`; without them there is no such program. */
  readonly gpus?: readonly GpuProduct[];
  /** How far the host's clock is ahead; needs the package `libfaketime`. */
  readonly clockSkewSeconds?: number;
  /** Size of everything that the host can write to; default: no limit. */
  readonly diskMib?: number;
  readonly readOnlyHome?: boolean;
  /** Programs of /usr/bin and /usr/sbin that are not installed, besides Node and (unless `python`) Python. */
  readonly without?: readonly string[];
  /** Programs installed by hand, in /usr/local/bin: files of this machine by their names there. */
  readonly installed?: Readonly<Record<string, string>>;
  /** Whether Python is installed; default false, nodes need none. */
  readonly python?: boolean;
}

/** Products of which the fleet has a recorded table. */
export type GpuProduct = "NVIDIA L4" | "NVIDIA A100-SXM4-80GB" | "NVIDIA H100 80GB HBM3";

/** How a host's packets travel; what is absent is not impaired. Replaces what was set before. */
export interface LinkOptions {
  /** For each direction. */
  readonly delayMs?: number;
  /** 0–100, each direction. */
  readonly lossPercent?: number;
  /** Kilobits (1,000 bits) per second, each direction. */
  readonly rateKbit?: number;
  /** True: every packet vanishes, without an error at either end. */
  readonly isDown?: boolean;
  /** Which packets are lost is decided by it; default 1. */
  readonly seed?: number;
}

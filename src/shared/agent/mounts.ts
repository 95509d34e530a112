/** How written files wait on the node's disk before they go to the bucket: rclone's words and units, e.g. `10G`, `1s`. */
export interface MountCache {
  readonly transfers?: number;
  readonly bufferSize?: string;
  readonly maxSize?: string;
  readonly maxAge?: string;
  readonly readAhead?: string;
  readonly readChunkSize?: string;
  readonly readChunkStreams?: number;
  readonly writeBack?: string;
}

/** A bucket, or what is below a prefix of it, that appears as a directory on every node. Nothing in it is secret. */
export interface MountSpec {
  /** Absolute or `~/…`, as in `sync`. Names the mount: a second one at the same place replaces the first. */
  readonly dest: string;
  /** Where it lies on the machine when tasks, which run in a container, see it elsewhere. Set by agents alone. */
  readonly place?: string;
  /** `r2` of `r2://bucket`; absent = `s3`. */
  readonly scheme?: string;
  readonly bucket: string;
  /** Without slash at either end; "" = the whole bucket. */
  readonly prefix: string;
  readonly region: string;
  /** URL of a server that is not Amazon's. */
  readonly endpoint?: string;
  readonly isReadOnly: boolean;
  /** Absent: what is written goes to the bucket at once. */
  readonly cache?: MountCache;
  /** `lent`: keys that the server gives and renews, kept in memory alone. `node`: what the machine itself may do. */
  readonly credentials: "lent" | "node";
}

/** Keys for one mount. Never stored, logged or in anybody's arguments. */
export interface LentKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** Absent = they do not end by themselves. */
  readonly expiresAtMs?: number;
  /** Id of the keys that they come from, where they end with those. */
  readonly issuer?: string;
}

/** The program that mounts, for one kind of CPU. */
export interface MounterPin {
  /** `x64` or `arm64`. */
  readonly arch: string;
  readonly version: string;
  /** URL of a zip archive. */
  readonly url: string;
  /** Hex digits of the archive's SHA-256. */
  readonly sha256: string;
  /** The program's path in the archive. */
  readonly program: string;
}

export interface MountParams {
  readonly key: string;
  readonly mounts: readonly { readonly spec: MountSpec; readonly keys?: LentKeys }[];
  /** Where nodes without the program get it. */
  readonly mounters: readonly MounterPin[];
  /** Whether an older one that is installed does where the node cannot get it. */
  readonly acceptsOld?: boolean;
}

/** Keys for what is mounted at a place: when the bucket or its prefix is another there, they are not for it. */
export interface LentPlace {
  readonly dest: string;
  readonly bucket?: string;
  readonly prefix?: string;
  readonly keys: LentKeys;
}

/** New keys for mounts that are there. */
export interface LendKeysParams {
  readonly keys: readonly LentPlace[];
  /** Mounts whose keys cannot be renewed, with what whoever reads or writes is told once they have ended. */
  readonly refused?: readonly { readonly dest: string; readonly reason: string }[];
}

/** Whoever waits until what was written to mounts is in the buckets. */
export interface FlushParams {
  /** How long it has been writing, in ms; absent = an older head, which does not ask what was lost. */
  readonly forMs?: number;
}

/** A mount on one node. */
export interface MountState {
  readonly node: number;
  readonly dest: string;
  /** `waiting`: its keys are missing. */
  readonly state: "mounted" | "waiting" | "failed";
  readonly reason?: string;
  /** Whether the node's agent holds keys that it was lent. */
  readonly hasKeys: boolean;
  /** When they end; absent = it has none, or they do not end. */
  readonly expiresAtMs?: number;
  /** Why the server could not renew them lately. */
  readonly keysProblem?: string;
  /** The last thing that the store refused; `line` tells it from others with the same text. `by`: which store; absent = S3. */
  readonly refusal?: { readonly line: string; readonly text: string; readonly by?: string };
}

import type { Borrower, CloudContext, LentCredentials } from "./cloud.ts";

/** As `store:` of a task names them. */
export type StoreType = "S3" | "R2";

/** A bucket as the caller's credentials see it. */
export type BucketState =
  | { readonly kind: "exists"; readonly region: string }
  | { readonly kind: "missing" }
  /** It is there, and somebody else's or closed to the caller. */
  | { readonly kind: "forbidden" };

/** Part of a bucket. */
export interface ObjectPlace {
  readonly bucket: string;
  /** Region of the bucket. */
  readonly region: string;
  /** Without slash at either end; "" = the whole bucket. */
  readonly prefix: string;
}

export interface StoredObject {
  /** Whole key, the place's prefix included. */
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  readonly modifiedMs: number;
  /** Without quotes; the MD5 of the content in hex where the object came in one part, otherwise something else. */
  readonly etag: string;
}

/** A local file on its way into a bucket. */
export interface UploadFile {
  /** Absolute path on this machine. */
  readonly path: string;
  /** Key below the place's prefix. */
  readonly key: string;
  readonly size: number;
  readonly mtimeMs: number;
}

export interface UploadProgress {
  readonly files: number;
  readonly bytes: number;
  /** Of these, what the bucket had already. */
  readonly unchangedFiles: number;
}

export interface BucketWish {
  readonly region: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Told once the bucket is there, before its settings are made. */
  readonly onMade?: () => void;
}

export interface UploadOptions {
  readonly onProgress?: (progress: UploadProgress) => void;
}

/**
 * An adapter of a kind of object store. Every call is idempotent and takes the context's signal. A refusal of the provider throws an
 * error that names the missing permission.
 */
export interface ObjectStore {
  readonly type: StoreType;
  /** `s3` of `s3://bucket/key`. */
  readonly scheme: string;
  /** Registry key of the cloud whose credentials it uses. */
  readonly cloud: string;
  /** Where buckets are made when the task's place says nothing. */
  readonly defaultRegion: string;
  /** Whether what is public can be read without any credentials. */
  readonly isPublicReadable: boolean;
  /** How the user finds out what the credentials may do. */
  readonly rightsHint: string;
  /** A command by which the user sees a bucket with the same credentials. */
  lookCommand(bucket: string, context: CloudContext): Promise<string>;
  /** Where a bucket for nodes at a place is made. */
  regionFor(nodes: { readonly cloud: string; readonly region: string }, context: CloudContext): Promise<string>;
  /** Whoever may only list what is below `prefix` finds it by that. */
  findBucket(place: Pick<ObjectPlace, "bucket" | "prefix">, context: CloudContext): Promise<BucketState>;
  /**
   * Closed to the public, with `labels` as tags. Of a bucket of that name that the account has already only these settings are made, so that
   * a call that was cut off is finished by another.
   */
  createBucket(bucket: string, wish: BucketWish, context: CloudContext): Promise<void>;
  /** Empties it, every version included, and removes it; `gone` when it was not there. */
  deleteBucket(bucket: string, context: CloudContext): Promise<"deleted" | "gone">;
  /** Sends what the place lacks, by size, time and content; removes nothing. */
  upload(
    place: ObjectPlace,
    files: readonly UploadFile[],
    options: UploadOptions & { readonly context: CloudContext },
  ): Promise<UploadProgress>;
  list(place: ObjectPlace, context: CloudContext): AsyncIterable<StoredObject>;
  /** URL of a server that is not the provider's own, for nodes that use the store by their own rights. */
  endpoint(context: CloudContext): Promise<string | undefined>;
  /** Which server has the buckets, always written alike; undefined = the provider's own, where one name is one bucket. */
  server(context: CloudContext): Promise<string | undefined>;
  /** Keys for nodes: for this place alone, and they end. Throws when the caller's credentials can give none, with what to do. */
  lendKeys(
    place: ObjectPlace,
    wish: {
      readonly isReadOnly: boolean;
      readonly sessionName: string;
      readonly cluster: Borrower;
      readonly context: CloudContext;
    },
  ): Promise<PlaceKeys>;
  /** URLs by which whoever has them may read the objects until they expire; no other right goes with them. */
  signReads(
    place: Pick<ObjectPlace, "bucket" | "region">,
    keys: readonly string[],
    options: { readonly expiresSeconds: number; readonly context: CloudContext },
  ): Promise<readonly string[]>;
}

/** What the nodes of a cluster may do with a place, as its users, and how they got it. */
export interface PlaceKeys {
  readonly keys: LentCredentials;
  /** URL of a server that is not the provider's own. */
  readonly endpoint?: string;
}

/** Finds a store; loads its code on first use. */
export interface StoreRegistry {
  types(): readonly StoreType[];
  load(type: StoreType): Promise<ObjectStore>;
}

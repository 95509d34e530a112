import type { ObjectPlace, StoreType } from "../../core/ports/object-store.ts";
import { placePolicy } from "./lend.ts";

/** What tells the providers apart that speak S3. */
export interface StoreKind {
  readonly type: StoreType;
  readonly scheme: string;
  /** Registry key of the cloud whose credentials it uses. */
  readonly cloud: string;
  /** As its refusals name it. */
  readonly displayName: string;
  readonly homeRegion: string;
  /** Regions whose accounts and buckets are none of the home region's. */
  readonly apartRegions?: RegExp;
  /** Whether buckets have a region to choose. */
  readonly hasRegions: boolean;
  /** Whether names are the account's own, so that a bucket which is in the way of a new one is the account's. */
  readonly hasOwnNames: boolean;
  /** Whether it knows tags, closing to the public, and versions. */
  readonly hasExtras: boolean;
  readonly isPublicReadable: boolean;
  /** Hosts by which the provider's own server may be called, too. */
  readonly ownHosts?: RegExp;
  /** A command by which the user sees a bucket as the product's keys see it. */
  lookCommand(bucket: string, endpoint: string | undefined): string;
  /** Says what these keys may do. */
  readonly rightsHint: string;
  /** What a caller needs who may not remove an object. */
  readonly deletionHint: string;
  /** What to do where keys that were lent are not taken; absent where whoever lends them knows that they are. */
  readonly untakenHint?: string;
  /** The rights that a mount uses, in the provider's own form. */
  scopeOf(place: ObjectPlace, wish: { readonly isReadOnly: boolean }): object;
}

export const AMAZON: StoreKind = {
  type: "S3",
  scheme: "s3",
  cloud: "aws",
  displayName: "AWS",
  homeRegion: "us-east-1",
  // AWS in China and GovCloud.
  apartRegions: /^(?:cn|us-gov)-/u,
  hasRegions: true,
  hasOwnNames: false,
  hasExtras: true,
  isPublicReadable: true,
  // Such as an endpoint in a VPC, or one of FIPS.
  ownHosts: /\.amazonaws\.com(?:\.cn)?$/u,
  lookCommand: (bucket) => `aws s3 ls s3://${bucket}`,
  rightsHint: "See what these credentials may do: sky check aws --permissions",
  deletionHint: "sky aws policy --features bucket-care prints a policy that allows it.",
  scopeOf: placePolicy,
};

/**
 * What R2 has of S3: https://developers.cloudflare.com/r2/api/s3/api/. Its S3 endpoint answers nobody without keys, public buckets are at
 * URLs of their own.
 */
export const R2: StoreKind = {
  type: "R2",
  scheme: "r2",
  cloud: "cloudflare",
  displayName: "Cloudflare R2",
  homeRegion: "auto",
  hasRegions: false,
  hasOwnNames: true,
  hasExtras: false,
  isPublicReadable: false,
  lookCommand: (bucket, endpoint) =>
    `AWS_SHARED_CREDENTIALS_FILE=~/.cloudflare/r2.credentials aws s3 ls s3://${bucket} --profile=r2 --endpoint-url ${endpoint ?? ""}`,
  rightsHint: "The R2 API token may be for other buckets: sky check cloudflare -v",
  deletionHint: 'The R2 API token needs the permission "Object Read & Write" for this bucket.',
  untakenHint:
    "With a token that may only read, mount with `config: {mount: {read_only: true}}`. Else use `mode: COPY`, or let the nodes use the R2 API token itself, in memory alone: cloudflare.remote_identity: LOCAL_CREDENTIALS in ~/.sky/config.yaml.",
  scopeOf: ({ bucket, prefix }, { isReadOnly }) => ({
    bucket,
    scope: isReadOnly ? "object-read-only" : "object-read-write",
    ...(prefix === "" ? {} : { paths: { prefixPaths: [`${prefix}/`], objectPaths: [] } }),
  }),
};

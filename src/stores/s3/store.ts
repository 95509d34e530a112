import type { S3Client } from "@aws-sdk/client-s3";
import type { CloudContext, ServiceAccess } from "../../core/ports/cloud.ts";
import type { ObjectStore } from "../../core/ports/object-store.ts";
import { createBucket, findPlace, findPublicBucket } from "./buckets.ts";
import { openS3 } from "./client.ts";
import { deleteBucket } from "./delete-bucket.ts";
import { AMAZON, type StoreKind } from "./kind.ts";
import { KnownEtags } from "./known-etags.ts";
import { lendKeys } from "./lend.ts";
import { listObjects, listPublic } from "./list.ts";
import { publicUrls, signReads } from "./sign.ts";
import { UnfinishedUploads } from "./unfinished-uploads.ts";
import { uploadFiles } from "./upload.ts";

type Access = (context: CloudContext) => Promise<ServiceAccess>;
type WithClient = <T>(context: CloudContext, region: string, work: (client: S3Client) => Promise<T>) => Promise<T>;

/**
 * Amazon S3, and others that speak its protocol. `access` finds the keys of a request; `unfinishedUploads` is the folder that remembers
 * uploads which are cut off.
 */
export function createS3Store(
  access: Access,
  kind: StoreKind = AMAZON,
  { unfinishedUploads }: { readonly unfinishedUploads?: string } = {},
): ObjectStore {
  const known = new KnownEtags();
  const clock = { offsetMs: 0 };
  const unfinished = new UnfinishedUploads(unfinishedUploads);
  /** The bucket's region decides to which endpoint its calls go. */
  const withClient: WithClient = async (context, region, work) => {
    const client = await openS3(await access(context), region, clock.offsetMs);
    try {
      return await work(client);
    } finally {
      // What is only signed here, for others to ask, is never answered.
      clock.offsetMs = client.config.systemClockOffset;
      client.destroy();
    }
  };
  const homeOf = (to: ServiceAccess): string =>
    to.endpoint === undefined && kind.apartRegions?.test(to.region) !== true ? kind.homeRegion : to.region;
  const reads = readsOf({ access, withClient, homeOf, kind });
  const { type, scheme, cloud, homeRegion, isPublicReadable, rightsHint } = kind;
  return {
    type,
    scheme,
    cloud,
    defaultRegion: homeRegion,
    isPublicReadable,
    rightsHint,
    ...reads,
    lookCommand: async (bucket, context) => kind.lookCommand(bucket, (await access(context)).endpoint),
    regionFor: async (nodes, context) => {
      const to = await access(context);
      return nodes.cloud === cloud && to.isApart !== true ? nodes.region : homeOf(to);
    },
    createBucket: async (bucket, wish, context) => {
      const isOnlyRegion = (await access(context)).isApart === true;
      return withClient(context, wish.region, (client) =>
        createBucket(client, bucket, { ...wish, isOnlyRegion, signal: context.signal }, kind),
      );
    },
    deleteBucket: async (bucket, context) => {
      const state = await reads.findBucket({ bucket, prefix: "" }, context);
      if (state.kind === "missing") return "gone";
      const region = state.kind === "exists" ? state.region : homeOf(await access(context));
      return withClient(context, region, (client) => deleteBucket(client, bucket, { kind, signal: context.signal }));
    },
    endpoint: async (context) => (await access(context)).endpoint,
    server: async (context) => serverAt((await access(context)).endpoint, kind),
    lendKeys: async (place, { context, isReadOnly, ...wish }) =>
      lendKeys(await access(context), place, { ...kind, scope: kind.scopeOf(place, { isReadOnly }), ...wish }),
    upload: (place, files, { context, ...options }) =>
      withClient(context, place.region, (client) =>
        uploadFiles({ client, place, files, known, unfinished, signal: context.signal, ...options }),
      ),
  };
}

/** Host names are the same in any case, and a path may end in a slash or not. */
function serverAt(endpoint: string | undefined, { ownHosts }: StoreKind): string | undefined {
  const url = URL.parse(endpoint ?? "");
  if (url === null || ownHosts?.test(url.hostname) === true) return undefined;
  return `${url.origin}${url.pathname.replace(/\/+$/u, "")}`;
}

interface Calls {
  readonly access: Access;
  readonly withClient: WithClient;
  /** Where buckets are looked for, and made when the nodes' place says nothing. */
  readonly homeOf: (access: ServiceAccess) => string;
  readonly kind: StoreKind;
}

/** What works without credentials, too, where it is public. */
function readsOf({ access, withClient, homeOf, kind }: Calls): Pick<ObjectStore, "findBucket" | "list" | "signReads"> {
  return {
    findBucket: async (place, context) => {
      const home = homeOf(await access(context));
      const state = await withClient(context, home, (client) =>
        context.isAnonymous === true ? findPublicBucket(client, place.bucket) : findPlace(client, place),
      );
      // What it tells of a bucket's location is then nothing to sign for.
      return state.kind === "exists" && !kind.hasRegions ? { ...state, region: home } : state;
    },
    async *list(place, context) {
      const client = await openS3(await access(context), place.region);
      try {
        yield* (context.isAnonymous === true ? listPublic : listObjects)(client, place, context.signal);
      } finally {
        client.destroy();
      }
    },
    signReads: (place, keys, { expiresSeconds, context }) =>
      withClient(context, place.region, (client) =>
        context.isAnonymous === true
          ? publicUrls(client, place.bucket, keys)
          : signReads(client, place.bucket, { keys, expiresSeconds }),
      ),
  };
}

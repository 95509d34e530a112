import {
  GetBucketLocationCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
} from "@aws-sdk/client-s3";
import type { AwsClients } from "../clients.ts";
import { tryCall, type Outcome } from "./outcome.ts";

/** A key that no bucket has: that it is missing is told only to those who may read. */
const MISSING_KEY = ".skypilot-permission-check";

const OF_ONE_BUCKET = ["s3:ListBucket", "s3:GetBucketLocation", "s3:GetObject"] as const;

/** Tries what reads buckets; without the name of one only the list of all. */
export async function tryBuckets(
  clients: AwsClients,
  buckets: readonly string[],
  options: { readonly signal?: AbortSignal } = {},
): Promise<ReadonlyMap<string, Outcome>> {
  const s3 = await clients.s3();
  const http = options.signal === undefined ? {} : { abortSignal: options.signal };
  const outcomes = new Map<string, Outcome>();
  outcomes.set("s3:ListAllMyBuckets", await tryCall(() => s3.send(new ListBucketsCommand({ MaxBuckets: 1 }), http)));
  const unnamed: Outcome = { kind: "open", why: "no bucket was named (a task that uses one does, with --from)" };
  if (buckets.length === 0) for (const id of OF_ONE_BUCKET) outcomes.set(id, unnamed);
  for (const Bucket of buckets) {
    const found: readonly (readonly [string, Outcome])[] = await Promise.all([
      tryCall(() => s3.send(new ListObjectsV2Command({ Bucket, MaxKeys: 1 }), http)).then(
        (o) => ["s3:ListBucket", o] as const,
      ),
      tryCall(() => s3.send(new GetBucketLocationCommand({ Bucket }), http)).then(
        (o) => ["s3:GetBucketLocation", o] as const,
      ),
      tryCall(() => s3.send(new HeadObjectCommand({ Bucket, Key: MISSING_KEY }), http)).then(
        (o) => ["s3:GetObject", o] as const,
      ),
    ]);
    for (const [id, outcome] of found) {
      // One bucket that refuses is what the user has to hear of.
      if (outcomes.get(id)?.kind !== "denied") outcomes.set(id, outcome);
    }
  }
  return outcomes;
}

import type { LendWish, LentCredentials, ServiceAccess } from "../../core/ports/cloud.ts";
import type { ObjectPlace, PlaceKeys } from "../../core/ports/object-store.ts";
import { StorageBucketGetError } from "../../shared/errors.ts";
import { openS3 } from "./client.ts";
import { nameOf, statusOf } from "./errors.ts";
import type { StoreKind } from "./kind.ts";

const READ = ["s3:GetObject"];
const WRITE = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"];
/** AWS takes no longer policy for a session. */
const MAX_POLICY_CHARS = 2048;

export interface PlaceWish
  extends Pick<StoreKind, "displayName" | "untakenHint">, Pick<LendWish, "sessionName" | "cluster"> {
  /** The rights, in the provider's own form. */
  readonly scope: object;
}

/** Keys that reach one place of one bucket. */
export async function lendKeys(access: ServiceAccess, place: ObjectPlace, wish: PlaceWish): Promise<PlaceKeys> {
  const { endpoint, lend } = access;
  if (lend === undefined) {
    throw new StorageBucketGetError(`There is no way to give nodes keys for ${place.bucket}.`, {
      hint: "Use `mode: COPY`, which needs none.",
    });
  }
  const { scope, sessionName, cluster } = wish;
  const keys = await lend({ policy: JSON.stringify(scope), sessionName, cluster });
  if (wish.untakenHint !== undefined) await requireTaken(access, place, { ...wish, keys });
  return { keys, ...(endpoint === undefined ? {} : { endpoint }) };
}

/** Keys that were made without asking the provider are tried once, so that no node meets a refusal first. */
async function requireTaken(
  access: ServiceAccess,
  { bucket, region, prefix }: ObjectPlace,
  { keys, displayName, untakenHint = "" }: PlaceWish & { readonly keys: LentCredentials },
): Promise<void> {
  const { ListObjectsV2Command } = await import("@aws-sdk/client-s3");
  const as = { ...access, credentials: () => Promise.resolve(keys), explainRefusals: () => undefined };
  const client = await openS3(as, region);
  const below = prefix === "" ? {} : { Prefix: `${prefix}/` };
  try {
    await client.send(new ListObjectsV2Command({ Bucket: bucket, MaxKeys: 1, ...below }));
  } catch (error) {
    // A bucket that is to be made yet, or a server that is away, says nothing of the keys.
    if (statusOf(error) !== 401 && statusOf(error) !== 403) return;
    throw new StorageBucketGetError(
      `${displayName} does not take ${keys.how} for ${bucket} (${nameOf(error) ?? "refused"}).`,
      { cause: error, hint: untakenHint },
    );
  } finally {
    client.destroy();
  }
}

interface Policy {
  readonly Version: string;
  readonly Statement: readonly object[];
}

/** The rights that a mount uses, as a policy of AWS. */
export function placePolicy(place: ObjectPlace, wish: { readonly isReadOnly: boolean }): Policy {
  const { bucket, prefix, region } = place;
  const arn = `arn:${partitionOf(region)}:s3:::${bucket}`;
  const below = prefix === "" ? {} : { Condition: { StringLike: { "s3:prefix": [prefix, `${prefix}/*`] } } };
  const plain = {
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Action: ["s3:ListBucket"], Resource: [arn], ...below },
      {
        Effect: "Allow",
        Action: [...READ, ...(wish.isReadOnly ? [] : WRITE)],
        Resource: [prefix === "" ? `${arn}/*` : `${arn}/${prefix}/*`],
      },
    ],
  };
  const whole = { ...plain, Statement: [...plain.Statement, encryptionStatement(arn, { ...wish, region })] };
  // Few buckets have keys of their own: the others are mounted by a very long prefix as well.
  return JSON.stringify(whole).length > MAX_POLICY_CHARS ? plain : whole;
}

/**
 * The keys of KMS that S3 uses on the caller's behalf, where the bucket is encrypted with a customer's own; whoever lends has to have the
 * right, too. S3 tells KMS the object's ARN, or the bucket's where that has a bucket key. To which objects S3 lets the caller is said
 * by the other statements.
 */
function encryptionStatement(
  arn: string,
  { isReadOnly, region }: { readonly isReadOnly: boolean; readonly region: string },
): object {
  return {
    Effect: "Allow",
    // What is sent in parts has to be decrypted, too.
    Action: ["kms:Decrypt", ...(isReadOnly ? [] : ["kms:GenerateDataKey"])],
    Resource: ["*"],
    Condition: {
      StringLike: {
        // The end is for China, whose services have names below amazonaws.com and below amazonaws.com.cn.
        "kms:ViaService": [`s3.${region}.amazonaws.com*`],
        "kms:EncryptionContext:aws:s3:arn": [arn, `${arn}/*`],
      },
    },
  };
}

function partitionOf(region: string): string {
  if (region.startsWith("cn-")) return "aws-cn";
  return region.startsWith("us-gov-") ? "aws-us-gov" : "aws";
}

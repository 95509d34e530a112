import type { ServiceAccess } from "../../core/ports/cloud.ts";
import type { ObjectPlace, PlaceKeys } from "../../core/ports/object-store.ts";
import { StorageBucketGetError } from "../../shared/errors.ts";

const READ = ["s3:GetObject"];
const WRITE = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"];

/** Keys that reach one place of one bucket. */
export async function lendKeys(
  access: ServiceAccess,
  place: ObjectPlace,
  wish: { readonly isReadOnly: boolean; readonly sessionName: string },
): Promise<PlaceKeys> {
  const { endpoint, lend } = access;
  if (lend === undefined) {
    throw new StorageBucketGetError(`There is no way to give nodes keys for ${place.bucket}.`, {
      hint: "Use `mode: COPY`, which needs none.",
    });
  }
  const keys = await lend({ policy: JSON.stringify(placePolicy(place, wish)), sessionName: wish.sessionName });
  return { keys, ...(endpoint === undefined ? {} : { endpoint }) };
}

/** The rights that a mount uses. */
export function placePolicy(place: ObjectPlace, { isReadOnly }: { readonly isReadOnly: boolean }): object {
  const { bucket, prefix, region } = place;
  const arn = `arn:${partitionOf(region)}:s3:::${bucket}`;
  const below = prefix === "" ? {} : { Condition: { StringLike: { "s3:prefix": [prefix, `${prefix}/*`] } } };
  return {
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Action: ["s3:ListBucket"], Resource: [arn], ...below },
      {
        Effect: "Allow",
        Action: [...READ, ...(isReadOnly ? [] : WRITE)],
        Resource: [prefix === "" ? `${arn}/*` : `${arn}/${prefix}/*`],
      },
    ],
  };
}

function partitionOf(region: string): string {
  if (region.startsWith("cn-")) return "aws-cn";
  return region.startsWith("us-gov-") ? "aws-us-gov" : "aws";
}

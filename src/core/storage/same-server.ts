import type { StorageRow } from "../../db/queries/storage.ts";
import { displayCloud } from "../../shared/cloud-names.ts";
import { StorageBucketGetError } from "../../shared/errors.ts";
import type { OpenStore } from "./access.ts";
import { serverOf } from "./handle.ts";

/**
 * Refuses to take a bucket of one server for that of another which happens to have its name: by the profile and the variables of the moment
 * either may be asked. Throws StorageBucketGetError.
 */
export async function requireSameServer(row: StorageRow, { store, as }: OpenStore): Promise<void> {
  const made = serverOf(row);
  const asked = (await store.server(as)) ?? null;
  if (made === undefined || made === asked) return;
  const nameOf = (server: string | null): string => server ?? displayCloud(store.cloud);
  throw new StorageBucketGetError(
    `Bucket ${row.name} was made at ${nameOf(made)}, and ${nameOf(asked)} is what these credentials and variables are for.`,
    {
      hint: "Repeat the command with the profile, the variables (AWS_ENDPOINT_URL_S3) or the account that it was made with.",
    },
  );
}

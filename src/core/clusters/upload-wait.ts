import { listClusterMounts } from "../../db/queries/cluster-mounts.ts";
import type { MountSpec } from "../../shared/agent/mounts.ts";
import type { UploadWait } from "../../shared/agent/upload-wait.ts";
import { InvalidValueError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { StopOrDownBody } from "./bodies.ts";
import { spinner } from "./messages.ts";

/**
 * How long the nodes wait for their uploads; undefined when the user has not said. A number of seconds counts also without `graceful`, as nodes
 * wait in any case. Throws InvalidValueError for a number that is none of seconds.
 */
export function uploadWaitOf({
  graceful,
  graceful_timeout: seconds,
}: Pick<StopOrDownBody, "graceful" | "graceful_timeout">): UploadWait | undefined {
  if (seconds === undefined || seconds === null) return graceful === true ? "unlimited" : undefined;
  if (seconds >= 0) return seconds;
  throw new InvalidValueError(`graceful_timeout is ${seconds}: it has to be a number of seconds, 0 or more.`);
}

/** Where tasks of a cluster see what they may write to. */
export async function listWrittenPlaces(clusterHash: string, context: OperationContext): Promise<readonly string[]> {
  const mounts = await listClusterMounts(context.db, clusterHash);
  return mounts.filter(({ spec }) => !(JSON.parse(spec) as MountSpec).isReadOnly).map(({ dest }) => dest);
}

/** Does `work` while the user sees that uploads from these places are waited for. */
export async function showingWait<T>(
  { doing, places }: { readonly doing: string; readonly places: readonly string[] },
  context: OperationContext,
  work: () => Promise<T>,
): Promise<T> {
  const text = `waiting until what was written to ${places.join(", ")} is uploaded`;
  context.log.spin(spinner(`${doing} - ${text}`));
  context.requests.setWaiting(`${doing}: ${text}`);
  try {
    return await work();
  } finally {
    context.requests.setWaiting(undefined);
    context.log.spinEnd();
  }
}

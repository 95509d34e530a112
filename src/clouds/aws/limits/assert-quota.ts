import type { ClusterSpec } from "../../../core/ports/cloud.ts";
import { QuotaExceededError } from "../../../shared/errors.ts";
import { patientDeadline } from "../../../shared/patient-deadline.ts";
import { QUOTA_LINK } from "../nodes/failures.ts";
import type { Region } from "../nodes/region.ts";
import { tooSmall } from "./limits.ts";
import type { Quotas } from "./quotas.ts";

/** A launch is not held up for a look that only saves it a refusal. */
const PATIENCE_MS = 2_000;

/** Throws QuotaExceededError when the region's quota cannot hold the new nodes even when nothing else runs; a quota that cannot be read is no obstacle. */
export async function assertQuota(region: Region, { offer, create }: ClusterSpec, quotas: Quotas): Promise<void> {
  const needed = create.length * offer.resources.cpus;
  const patience = patientDeadline(PATIENCE_MS);
  const signal = AbortSignal.any([region.signal, patience.signal]);
  const quota = await quotas
    .find({ ...region, signal }, offer, needed)
    .catch((): undefined => undefined)
    .finally(() => patience.cancel());
  region.signal.throwIfAborted();
  const problem = quota === undefined ? undefined : tooSmall(quota, needed);
  if (problem === undefined) return;
  const { instanceType, useSpot } = offer;
  const what = `${instanceType} ${useSpot ? "spot" : "on-demand"} instances in region ${region.name}`;
  const head = quota?.vcpus === 0 ? `Found no quota for ${what} in AWS` : `Not enough quota for ${what} in AWS`;
  throw new QuotaExceededError(`${head}: ${problem}.`, {
    isClean: true,
    hint: `To request quotas, check the instruction: ${QUOTA_LINK}`,
  });
}

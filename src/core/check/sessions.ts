import { renderTimeLeft } from "../../shared/time-left.ts";
import type { Operation, OperationContext } from "../operation.ts";
import type { RequestBody } from "../clusters/bodies.ts";
import { cloudContext, type Cluster } from "../clusters/cluster.ts";
import { yellow } from "../clusters/messages.ts";
import type { CredentialSummary } from "../ports/cloud.ts";
import { enabledClouds } from "./clouds.ts";

/** Credentials that end, of a cloud in use. */
export interface CloudSession {
  readonly cloud: string;
  readonly kind: string;
  readonly profile: string | null;
  /** Seconds since the epoch. */
  readonly expires_at: number;
}

/** Of what this process holds already: no cloud is asked, so that `sky status` stays as fast as it is. */
export const cloudSessionsOperation: Operation<RequestBody, readonly CloudSession[]> = {
  name: "check.cloud_sessions",
  wireName: "cloud_sessions",
  schedule: "short",
  isResumable: false,
  run: async (_body, context) => {
    const clouds = await enabledClouds(context);
    return clouds.flatMap(({ cloud, enabled }) => {
      const known = enabled.length === 0 ? undefined : cloud.knownCredentials?.(cloudContext(context));
      if (known?.expiresAtMs === undefined) return [];
      const { kind, profile, expiresAtMs } = known;
      return [{ cloud: cloud.displayName, kind, profile: profile ?? null, expires_at: expiresAtMs / 1000 }];
    });
  },
};

/** A job may take any time; one that starts this long before the end is likely to outlive the session. */
const LIKELY_JOB_MS = 60 * 60_000;
/** A warning is not worth a longer wait for the cloud. */
const DEADLINE_MS = 2000;

/**
 * Says that a job or the cluster's autostop comes after the end of the credentials that act on the cluster. `idleMinutes` is the
 * autostop in effect, negative = none; `startsJob` whether a job begins now.
 */
export async function warnAboutSession(
  cluster: Cluster,
  plan: { readonly idleMinutes: number; readonly down: boolean; readonly startsJob: boolean },
  context: OperationContext,
): Promise<void> {
  const cloud = await context.clouds.load(cluster.row.cloud);
  const request = {
    ...cloudContext(context),
    signal: AbortSignal.any([context.signal, AbortSignal.timeout(DEADLINE_MS)]),
  };
  let session: CredentialSummary | null | undefined;
  try {
    session = cloud.knownCredentials?.(request) ?? (await cloud.credentials?.(request));
  } catch {
    // Who needs the credentials says what is wrong with them; here they only would have been looked at.
    context.signal.throwIfAborted();
    return;
  }
  if (session?.expiresAtMs === undefined) return;
  const leftMs = session.expiresAtMs - context.clock.now();
  const ends = `The ${cloud.displayName} session${session.profile === undefined ? "" : ` of profile '${session.profile}'`} ends in ${renderTimeLeft(leftMs)}`;
  const stops = plan.down ? "torn down" : "stopped";
  if (plan.idleMinutes >= 0 && plan.idleMinutes * 60_000 >= leftMs) {
    context.log.line(
      yellow(
        `${ends}, before cluster '${cluster.row.name}' has been idle for ${plan.idleMinutes} minutes: unless you log in again until then, it is not ${stops} and goes on costing money.`,
      ),
    );
  } else if (plan.startsJob && leftMs < LIKELY_JOB_MS) {
    context.log.line(
      yellow(`${ends}: a job that takes longer goes on, but its cluster cannot be stopped until you log in again.`),
    );
  }
}

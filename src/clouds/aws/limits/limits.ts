import type { CloudContext, LimitsQuestion, Offer, OfferLimit } from "../../../core/ports/cloud.ts";
import type { Clock } from "../../../shared/clock.ts";
import { orAborted } from "../../../shared/or-aborted.ts";
import { patientDeadline } from "../../../shared/patient-deadline.ts";
import { AwsAuthError } from "../errors.ts";
import type { RegionOpener } from "../nodes/open-region.ts";
import type { Region } from "../nodes/region.ts";
import type { Places } from "../nodes/places.ts";
import { failureOf } from "../../../shared/sdk-failure.ts";
import type { Denial } from "../policy/denial.ts";
import { AwsDeniedError } from "../policy/denied-error.ts";
import { quotaCodesOf } from "../quota-family.ts";
import { LaunchRight } from "./launch-right.ts";
import type { Quota, Quotas } from "./quotas.ts";
import { Usage } from "./usage.ts";

/** Who asks what a plan can have waits no longer for any region. What AWS says later is there for who asks next. */
const PATIENCE_MS = 3_000;

/** What the account may have now: quotas, what of them is in use, and whether the caller may launch at all. */
export class Limits {
  readonly #opener: RegionOpener;
  readonly #quotas: Quotas;
  readonly #usage: Usage;
  readonly #right: LaunchRight;

  constructor(tools: {
    readonly opener: RegionOpener;
    readonly quotas: Quotas;
    readonly places: Places;
    readonly clock: Clock;
  }) {
    this.#opener = tools.opener;
    this.#quotas = tools.quotas;
    this.#usage = new Usage(tools.clock);
    this.#right = new LaunchRight(tools.clock, tools.places);
  }

  /** One answer for each offer, in their order; every region is asked at once. What cannot be found out is a note, never an error. */
  async of({ offers, numNodes }: LimitsQuestion, context: CloudContext): Promise<readonly OfferLimit[]> {
    const asked = new Map<string, Promise<OfferLimit>>();
    return Promise.all(
      offers.map((offer) => {
        const key = [offer.region, offer.instanceType, offer.useSpot, offer.prepaidNodes].join("\n");
        const limit = asked.get(key) ?? this.#inTime(offer, numNodes, context);
        asked.set(key, limit);
        return limit;
      }),
    );
  }

  async #inTime(offer: Offer, numNodes: number, context: CloudContext): Promise<OfferLimit> {
    const patience = patientDeadline(PATIENCE_MS);
    const signal = AbortSignal.any([context.signal, patience.signal]);
    try {
      const region = await orAborted(this.#opener.open(offer.region, context), signal);
      return await this.#ask({ ...region, signal }, offer, numNodes);
    } catch (error) {
      context.signal.throwIfAborted();
      const why = patience.signal.aborted ? `AWS did not answer within ${PATIENCE_MS / 1000} s` : reasonOf(error);
      return { notes: [`quota unknown: ${why}`] };
    } finally {
      patience.cancel();
    }
  }

  async #ask(region: Region, offer: Offer, numNodes: number): Promise<OfferLimit> {
    const [denial, quota] = await Promise.all([
      // That it could not be tried says nothing; a launch will tell.
      this.#right.denial(region, offer).catch((error: unknown): undefined => {
        if (error instanceof AwsDeniedError || failureOf(error)?.httpStatus !== undefined) return undefined;
        throw error;
      }),
      this.#quotaOf(region, offer, numNodes),
    ]);
    return denial === undefined ? quota : { refusal: `denied: ${denialText(denial)}`, notes: [] };
  }

  async #quotaOf(region: Region, offer: Offer, numNodes: number): Promise<OfferLimit> {
    // A reservation counts in the quota whether it is used or not.
    const added = numNodes - (offer.prepaidNodes ?? 0);
    const needed = added * offer.resources.cpus;
    if (added <= 0 || quotaCodesOf(offer.instanceType, offer.useSpot).length === 0) return { notes: [] };
    try {
      const quota = await this.#quotas.find(region, offer, needed);
      if (quota === undefined) return { notes: ["quota unknown: AWS names none for the region"] };
      const refusal = tooSmall(quota, needed);
      return refusal === undefined ? await this.#usageOf(region, offer, { quota, needed }) : { refusal, notes: [] };
    } catch (error) {
      region.signal.throwIfAborted();
      return { notes: [`quota unknown: ${reasonOf(error)}`] };
    }
  }

  async #usageOf(
    region: Region,
    offer: Offer,
    { quota, needed }: { readonly quota: Quota; readonly needed: number },
  ): Promise<OfferLimit> {
    try {
      const used = await this.#usage.vcpus(region, offer);
      if (used + needed <= quota.vcpus) return { notes: [] };
      const refusal = `quota used up: ${used} of ${quota.vcpus} vCPUs run, ${needed} more are needed (${nameOf(quota)})`;
      return { refusal, notes: [] };
    } catch (error) {
      region.signal.throwIfAborted();
      return { notes: [`use of the quota unknown: ${reasonOf(error)}`] };
    }
  }
}

/** Why a quota does not allow so many vCPUs even when nothing else runs; undefined when it does. */
export function tooSmall(quota: Quota, neededVcpus: number): string | undefined {
  if (quota.vcpus === 0) return `quota 0 (${nameOf(quota)})`;
  if (quota.vcpus >= neededVcpus) return undefined;
  return `quota too small: ${quota.vcpus} vCPUs, ${neededVcpus} are needed (${nameOf(quota)})`;
}

function nameOf({ name, code }: Quota): string {
  return name === code ? code : `${name}, ${code}`;
}

function denialText({ action, cause }: Denial): string {
  if (cause.kind === "unknown") return `${action} is not allowed`;
  if (cause.kind === "not-allowed") return `no ${policyText(cause.by)} allows ${action}`;
  const isWhole = /^(?:an?|statement) /u.test(cause.by);
  return `${action} is forbidden by ${isWhole ? cause.by : `${/^[aeiou]/u.test(cause.by) ? "an" : "a"} ${policyText(cause.by)}`}`;
}

/** AWS says `service control policy`, and `permissions boundary`. */
function policyText(by: string): string {
  return by.endsWith("boundary") ? by : `${by} policy`;
}

function reasonOf(error: unknown): string {
  if (error instanceof AwsDeniedError) return `${error.denial.action} is not allowed`;
  if (error instanceof AwsAuthError) return error.message.split("\n", 1)[0] ?? error.message;
  const failure = failureOf(error);
  return failure === undefined
    ? String(error)
    : (`${failure.name}: ${failure.message}`.split("\n", 1)[0] ?? failure.name);
}

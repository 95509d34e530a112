import { GetServiceQuotaCommand } from "@aws-sdk/client-service-quotas";
import type { Clock } from "../../../shared/clock.ts";
import { orAborted } from "../../../shared/or-aborted.ts";
import { Kept } from "../nodes/kept.ts";
import { withQuotas, type Region } from "../nodes/region.ts";
import { failureOf } from "../../../shared/sdk-failure.ts";
import { quotaCodesOf } from "../quota-family.ts";

/** A quota changes when somebody asks AWS for more, which takes hours. */
const KEPT_MS = 60 * 60_000;
/** A value that would refuse a launch is read again when it is older. */
const REFUSES_MS = 30_000;
/** Others may wait for the same answer, so it has a limit of its own instead of one caller's signal. */
const LOOK_MS = 60_000;

/** What a region allows of a family of types. */
export interface Quota {
  readonly code: string;
  /** As AWS calls it. */
  readonly name: string;
  readonly vcpus: number;
  readonly readAtMs: number;
}

export interface QuotaOf {
  readonly instanceType: string;
  readonly useSpot: boolean;
}

/** Reads the vCPU quotas of accounts and regions, and keeps them. */
export class Quotas {
  readonly #kept: Kept<Quota | undefined>;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#kept = new Kept(clock, KEPT_MS);
  }

  /**
   * The quota under which such nodes fall; undefined when AWS names none. One that leaves no room for `neededVcpus` is no older than
   * half a minute. Throws what the call throws, AwsDeniedError among it.
   */
  async find(region: Region, of: QuotaOf, neededVcpus: number): Promise<Quota | undefined> {
    const codes = quotaCodesOf(of.instanceType, of.useSpot);
    for (const code of codes) {
      const quota = await this.#read(region, code, neededVcpus);
      if (quota !== undefined) return quota;
    }
    return undefined;
  }

  async #read(region: Region, code: string, neededVcpus: number): Promise<Quota | undefined> {
    const key = `${region.account}\n${region.name}\n${code}`;
    const shared = { ...region, signal: AbortSignal.timeout(LOOK_MS) };
    const look = (): Promise<Quota | undefined> =>
      orAborted(
        this.#kept.get(key, () => read(shared, code)),
        region.signal,
      );
    const quota = await look();
    const isOld = quota !== undefined && this.#clock.now() - quota.readAtMs > REFUSES_MS;
    if (!isOld || quota.vcpus >= Math.max(1, neededVcpus)) return quota;
    this.#kept.forgetAll(key);
    return look();
  }
}

async function read(region: Region, QuotaCode: string): Promise<Quota | undefined> {
  const answer = await withQuotas(region, (quotas, http) =>
    quotas.send(new GetServiceQuotaCommand({ ServiceCode: "ec2", QuotaCode }), http),
  ).catch((error: unknown) => {
    if (failureOf(error)?.name === "NoSuchResourceException") return { Quota: undefined };
    throw error;
  });
  const { Value, QuotaName } = answer.Quota ?? {};
  if (Value === undefined) return undefined;
  return { code: QuotaCode, name: QuotaName ?? QuotaCode, vcpus: Value, readAtMs: region.clock.now() };
}

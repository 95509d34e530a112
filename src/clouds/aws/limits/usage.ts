import type { Clock } from "../../../shared/clock.ts";
import { orAborted } from "../../../shared/or-aborted.ts";
import { cpusOf, findRunning } from "../nodes/inventory.ts";
import { Kept } from "../nodes/kept.ts";
import type { Region } from "../nodes/region.ts";
import { quotaFamilyOf } from "../quota-family.ts";
import type { Offer } from "../../../core/ports/cloud.ts";

const KEPT_MS = 30_000;
const LOOK_MS = 60_000;

interface Running extends Pick<Offer, "instanceType" | "useSpot"> {
  readonly vcpus: number;
}

/** Counts the vCPUs that run in a region, of whoever started them. */
export class Usage {
  readonly #kept: Kept<readonly Running[]>;

  constructor(clock: Clock) {
    this.#kept = new Kept(clock, KEPT_MS);
  }

  /** vCPUs of the instances that fall under the quota of the offer. Reserved capacity that nobody uses counts for AWS, but not here. */
  async vcpus(region: Region, offer: Offer): Promise<number> {
    const shared = { ...region, signal: AbortSignal.timeout(LOOK_MS) };
    const looking = this.#kept.get(`${region.account}\n${region.name}`, () => look(shared));
    const running = await orAborted(looking, region.signal);
    const family = quotaFamilyOf(offer.instanceType);
    return running
      .filter((one) => one.useSpot === offer.useSpot && quotaFamilyOf(one.instanceType) === family)
      .reduce((sum, one) => sum + (one.instanceType === offer.instanceType ? offer.resources.cpus : one.vcpus), 0);
  }
}

async function look(region: Region): Promise<readonly Running[]> {
  const instances = await findRunning(region);
  return (
    instances
      // Capacity blocks have quotas of their own.
      .filter(({ InstanceLifecycle }) => InstanceLifecycle !== "capacity-block")
      .map((instance) => ({
        instanceType: instance.InstanceType ?? "",
        useSpot: instance.InstanceLifecycle === "spot",
        vcpus: cpusOf(instance),
      }))
  );
}

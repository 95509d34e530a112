import type { Instance as Ec2Instance } from "@aws-sdk/client-ec2";
import type { Clock } from "../../../shared/clock.ts";
import { Batch } from "./batch.ts";
import { findInstances, NAMES_PER_CALL } from "./inventory.ts";
import { CLUSTER_TAG, tagOf } from "./node-tags.ts";
import type { OpenRegion } from "./open-region.ts";

/** Looks that come within this time go out as one call. */
const WINDOW_MS = 20;
const LOOK_MS = 120_000;

/** Looks for the instances of clusters; those of one region and caller go together, whatever the number of clusters. */
export class Queries {
  readonly #clock: Clock;
  readonly #batches = new Map<string, { batch: Batch<readonly Ec2Instance[]>; region: OpenRegion }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async find(region: OpenRegion, nameOnCloud: string): Promise<readonly Ec2Instance[]> {
    const key = `${region.principal}\n${region.name}`;
    const entry = this.#batches.get(key) ?? this.#open(key, region);
    // The next call is made with the credentials of who came last.
    entry.region = region;
    const found = await entry.batch.get(nameOnCloud);
    region.signal.throwIfAborted();
    return found ?? [];
  }

  #open(key: string, region: OpenRegion): { batch: Batch<readonly Ec2Instance[]>; region: OpenRegion } {
    const entry = {
      region,
      batch: new Batch(
        async (names) => {
          const shared = { ...entry.region, signal: AbortSignal.timeout(LOOK_MS) };
          const found = await findInstances(shared, names);
          const groups: ReadonlyMap<string, readonly Ec2Instance[]> = Map.groupBy(
            found,
            (instance) => tagOf(instance, CLUSTER_TAG) ?? "",
          );
          return groups;
        },
        { clock: this.#clock, windowMs: WINDOW_MS, maxKeys: NAMES_PER_CALL },
      ),
    };
    this.#batches.set(key, entry);
    return entry;
  }
}

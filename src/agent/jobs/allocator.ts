import type { NodeResources } from "../../shared/agent/protocol.ts";

/** What a job asks of each of its nodes, with the defaults filled in. */
export interface Demand {
  readonly cpus: number;
  readonly memoryGib: number;
  readonly accelerators: Readonly<Record<string, number>>;
}

/** What a job holds on one node. */
export interface Grant {
  readonly node: number;
  readonly cpus: number;
  readonly memoryGib: number;
  /** Accelerator → shares of its devices. */
  readonly devices: Readonly<Record<string, readonly DeviceShare[]>>;
}
export interface DeviceShare {
  readonly index: number;
  readonly share: number;
}

/** Share of a CPU that a job takes which does not say. */
export const DEFAULT_CPU_SHARE = 0.5;
/** Shares are sums of decimal fractions: this much is rounding, not need. */
const EPSILON = 1e-6;

/** Free resources of one node. */
export class NodeLedger {
  readonly capacity: NodeResources;
  #cpus: number;
  #memoryGib: number;
  readonly #devices = new Map<string, number[]>();

  constructor(capacity: NodeResources) {
    this.capacity = capacity;
    this.#cpus = capacity.cpus;
    this.#memoryGib = capacity.memoryGib;
    for (const [name, count] of Object.entries(capacity.accelerators)) this.#devices.set(name, deviceShares(count));
  }

  /** Finds devices and amounts for a demand; undefined when they are not free. Takes nothing. */
  fit(node: number, demand: Demand): Grant | undefined {
    if (demand.cpus > this.#cpus + EPSILON || demand.memoryGib > this.#memoryGib + EPSILON) return undefined;
    const devices: Record<string, readonly DeviceShare[]> = {};
    for (const [name, count] of Object.entries(demand.accelerators)) {
      if (count <= 0) continue;
      const shares = chooseDevices(this.#devices.get(name) ?? [], count);
      if (shares === undefined) return undefined;
      devices[name] = shares;
    }
    return { node, cpus: demand.cpus, memoryGib: demand.memoryGib, devices };
  }

  take(grant: Grant): void {
    this.#apply(grant, -1);
  }

  giveBack(grant: Grant): void {
    this.#apply(grant, 1);
  }

  #apply(grant: Grant, sign: 1 | -1): void {
    this.#cpus += sign * grant.cpus;
    this.#memoryGib += sign * grant.memoryGib;
    for (const [name, shares] of Object.entries(grant.devices)) {
      const free = this.#devices.get(name);
      if (free === undefined) continue;
      for (const { index, share } of shares) free[index] = (free[index] ?? 0) + sign * share;
    }
  }
}

/** Whether a node that is otherwise idle could hold the demand. */
export function couldHold(capacity: NodeResources, demand: Demand): boolean {
  return new NodeLedger(capacity).fit(0, demand) !== undefined;
}

/** Shares of the devices of a count such as 2.5: [1, 1, 0.5]. */
function deviceShares(count: number): number[] {
  const whole = Math.floor(count + EPSILON);
  const rest = count - whole;
  const shares = Array.from({ length: whole }, () => 1);
  return rest > EPSILON ? [...shares, rest] : shares;
}

/** A part of a device goes where it leaves the least over; whole devices must be entirely free. */
function chooseDevices(free: readonly number[], count: number): readonly DeviceShare[] | undefined {
  if (count < 1 - EPSILON) {
    let best = -1;
    for (const [index, share] of free.entries()) {
      if (share + EPSILON >= count && (best < 0 || share < (free[best] ?? 0))) best = index;
    }
    return best < 0 ? undefined : [{ index: best, share: count }];
  }
  const whole = Math.ceil(count - EPSILON);
  const indices = [...free.keys()].filter((index) => (free[index] ?? 0) + EPSILON >= 1).slice(0, whole);
  return indices.length < whole ? undefined : indices.map((index) => ({ index, share: 1 }));
}

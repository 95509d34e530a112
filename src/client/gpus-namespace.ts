import { submit, type WaitOptions } from "./operations.ts";
import type { Request } from "./request.ts";
import type { SkyClient } from "./sky-client.ts";

export interface GpuFilter extends WaitOptions {
  /** Part of the accelerator's name. */
  readonly name?: string | undefined;
  /** Exactly that many per node. */
  readonly count?: number | undefined;
  /** Lower case; every cloud that has a catalog when absent. */
  readonly clouds?: readonly string[] | undefined;
  readonly region?: string | undefined;
  /** One row for each region, not only for the cheapest. */
  readonly allRegions?: boolean;
  /** Also accelerators that are no GPUs (FPGAs). */
  readonly includeOthers?: boolean;
  readonly caseSensitive?: boolean;
}

/** An instance type with an accelerator, fields as the official SDK names them. Prices in USD per hour, memory in GiB. */
export interface GpuOffer {
  readonly cloud: string;
  /** Null: the accelerator is attached to types of the user's choice. */
  readonly instance_type: string | null;
  readonly accelerator_name: string;
  readonly accelerator_count: number;
  readonly cpu_count: number | null;
  /** Of one device. */
  readonly device_memory: number | null;
  readonly memory: number | null;
  /** Null = unknown. */
  readonly price: number | null;
  readonly spot_price: number | null;
  readonly region: string;
}

/** What a machine of the user's own has, fields as the official SDK names them. Memory in GiB. */
export interface LiveNode {
  readonly name: string;
  readonly accelerator_type: string | null;
  readonly total: { readonly accelerator_count: number };
  readonly free: { readonly accelerators_available: number };
  readonly ip_address: string | null;
  readonly cpu_count: number | null;
  readonly memory_gb: number | null;
  readonly cpu_free?: number | null;
  readonly memory_free_gb?: number | null;
  readonly is_ready?: boolean;
}

/** The machines of a pool. */
export interface LivePool {
  readonly node_info_dict: Readonly<Record<string, LiveNode>>;
  /** What is wrong with some of them. */
  readonly hint: string;
}

const FIELDS = [
  "cloud",
  "instance_type",
  "accelerator_name",
  "accelerator_count",
  "cpu_count",
  "device_memory",
  "memory",
  "price",
  "spot_price",
  "region",
] as const satisfies readonly (keyof GpuOffer)[];

/** Accelerators on offer. */
export class GpusNamespace {
  readonly #client: SkyClient;

  constructor(client: SkyClient) {
    this.#client = client;
  }

  /** Instance types and prices by accelerator. */
  list(filter: GpuFilter = {}): Request<Readonly<Record<string, readonly GpuOffer[]>>> {
    const body = this.#client.body({
      ...bodyOf(filter),
      all_regions: filter.allRegions ?? false,
      require_price: true,
      case_sensitive: filter.caseSensitive ?? false,
    });
    const { signal, abortBehavior } = filter;
    const options = { name: "sky.list_accelerators", decode: toOffers, signal, abortBehavior };
    return submit(this.#client.session, "/list_accelerators", body, options);
  }

  /** What of the machines of a pool is free at the moment. */
  pool(name: string, options: WaitOptions = {}): Request<LivePool> {
    const body = this.#client.body({ context: `ssh-${name}` });
    return submit(this.#client.session, "/kubernetes_node_info", body, {
      name: "sky.kubernetes_node_info",
      ...options,
    });
  }

  /** The counts per node in which each accelerator comes. */
  counts(filter: GpuFilter = {}): Request<Readonly<Record<string, readonly number[]>>> {
    const body = this.#client.body(bodyOf(filter));
    const { signal, abortBehavior } = filter;
    const options = { name: "sky.list_accelerator_counts", signal, abortBehavior };
    return submit(this.#client.session, "/list_accelerator_counts", body, options);
  }
}

function bodyOf(filter: GpuFilter): Readonly<Record<string, unknown>> {
  return {
    gpus_only: filter.includeOthers !== true,
    name_filter: filter.name ?? null,
    region_filter: filter.region ?? null,
    quantity_filter: filter.count ?? null,
    clouds: filter.clouds ?? null,
  };
}

function toOffers(value: unknown): Readonly<Record<string, readonly GpuOffer[]>> {
  const lists = (value ?? {}) as Readonly<Record<string, readonly (readonly unknown[])[]>>;
  return Object.fromEntries(
    Object.entries(lists).map(([name, rows]) => [
      name,
      rows.map((row) => Object.fromEntries(FIELDS.map((field, at) => [field, row[at] ?? null])) as unknown as GpuOffer),
    ]),
  );
}

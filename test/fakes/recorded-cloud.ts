import type { Cloud, Offer, OfferRequest } from "../../src/core/ports/cloud.ts";
import { cloudKeyOf, toOfferRequest } from "../../src/core/optimizer/request.ts";
import type { Task } from "../../src/core/task/task.ts";

/** A case of test/fixtures/optimizer, as far as the tests read it. */
export interface PlacementCase {
  readonly id: string;
  readonly what: string;
  readonly input: {
    readonly tasks: readonly (Readonly<Record<string, unknown>> & {
      readonly resources?: Readonly<Record<string, unknown>>;
    })[];
    readonly edges?: readonly (readonly [number, number])[];
    readonly enabled: readonly string[];
    readonly minimize: "cost" | "time";
    readonly blocked?: readonly { readonly cloud?: string; readonly region?: string }[];
    readonly runtime_hours?: Readonly<Record<string, number>>;
  };
  readonly expect: {
    readonly status: "ok" | "error";
    readonly plan?: readonly {
      readonly infra: string;
      readonly instance_type: string;
      readonly use_spot: boolean;
      readonly hourly_cost_per_node: number;
    }[];
    readonly candidates?: readonly {
      readonly count: number;
      readonly order: string;
      readonly first: readonly (readonly [string, number | null])[];
    }[];
    readonly log: string;
    readonly log_ansi?: string;
    readonly error_type?: string;
    readonly error_message?: string;
  };
}

const REFUSED = (): never => {
  throw new Error("A recorded cloud only makes offers.");
};

/** A cloud that offers what the original was offered when the case was recorded. */
export function recordedCloud(
  parts: { readonly name: string; readonly displayName: string },
  recorded: PlacementCase,
  tasks: readonly Task[],
): Cloud {
  return {
    ...parts,
    wireInfra: (region) => `${parts.name}/${region}`,
    power: "leave",
    maxNameLength: 40,
    check: () => Promise.resolve({ enabled: ["compute"], reasons: [], details: [] }),
    identity: () => Promise.resolve(null),
    offers: (request) => {
      const at = tasks.findIndex((task) => asks(task, parts.name, request));
      return Promise.resolve({ offers: offersOf(recorded, at, parts), rejected: [], suggestions: [] });
    },
    run: REFUSED,
    query: REFUSED,
    terminate: REFUSED,
    runner: REFUSED,
  };
}

function asks(task: Task, cloud: string, request: OfferRequest): boolean {
  return task.resources.candidates.some((resources) => {
    const key = cloudKeyOf(resources);
    const isMeant = key === undefined || key === cloud;
    return isMeant && JSON.stringify(toOfferRequest(resources, task.numNodes)) === JSON.stringify(request);
  });
}

/** From the list of candidates, and from the table where the list is cut off before them. */
function offersOf(
  recorded: PlacementCase,
  at: number,
  { name, displayName }: { readonly name: string; readonly displayName: string },
): readonly Offer[] {
  const offers = new Map<string, Offer>();
  const rows = tableRows(recorded, at).filter((row) => row.infra.startsWith(`${displayName} (`));
  const listed = (recorded.expect.candidates?.[at]?.first ?? []).map(([text, price]) => ({ text, price }));
  for (const { text, price } of listed) {
    const [, place = "", instance = ""] = new RegExp(`^${displayName} \\((.+)\\) (.+)$`).exec(text) ?? [];
    const row = rows.find((one) => one.instance === instance || one.instance === "-");
    if (place !== "" && row !== undefined) offers.set(place, toOffer(name, { ...row, place, instance, price }));
  }
  for (const row of rows) {
    const place = row.infra.slice(displayName.length + 2, -1);
    if (!offers.has(place)) offers.set(place, toOffer(name, { ...row, place, price: row.cost }));
  }
  return [...offers.values()];
}

interface TableRow {
  readonly infra: string;
  readonly instance: string;
  readonly cpus: number;
  readonly memoryGib: number;
  readonly gpus: string;
  readonly cost: number;
}

function tableRows(recorded: PlacementCase, at: number): readonly TableRow[] {
  const tables = recorded.expect.log.split("Considered resources").slice(1);
  return (tables[at] ?? "")
    .split("\n")
    .filter((line) => /^ \w+ \(/.test(line))
    .map((line) => {
      const [infra = "", instance = "", cpus, memory, gpus = "-", cost] = line.trim().split(/ {3,}/);
      return { infra, instance, cpus: Number(cpus), memoryGib: Number(memory), gpus, cost: Number(cost) };
    });
}

function toOffer(
  cloud: string,
  row: Omit<TableRow, "infra" | "cost"> & { readonly place: string; readonly price: number | null },
): Offer {
  const [gpu, count] = row.gpus.split(":");
  const isZone = /-[a-f]$/.test(row.place) && cloud === "gcp";
  return {
    cloud,
    region: isZone ? row.place.slice(0, -2) : row.place,
    zone: isZone ? row.place : null,
    instanceType: row.instance.replace("[Spot]", ""),
    resources: {
      cpus: row.cpus,
      memoryGib: row.memoryGib,
      accelerators: gpu === undefined || count === undefined ? {} : { [gpu]: Number(count) },
    },
    useSpot: row.instance.endsWith("[Spot]"),
    priceUsdPerHour: row.price,
  };
}

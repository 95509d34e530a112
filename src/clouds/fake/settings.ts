import { readFileSync } from "node:fs";
import { InvalidConfigError } from "../../shared/errors.ts";
import { plainOf } from "../../shared/yaml-node.ts";
import { parseYaml } from "../../shared/yaml.ts";
import { checkSchema } from "../../shared/config/schema-report.ts";
import { atLeast, BOOLEAN, listOf, mapOf, object, STRING } from "../../shared/config/schema-parts.ts";
import type { Schema } from "../../shared/config/json-schema.ts";

/** A type of node that the fake cloud sells. */
export interface FakeType {
  readonly cpus: number;
  readonly memory_gib: number;
  readonly accelerators?: Readonly<Record<string, number>>;
  readonly usd_per_hour: number;
  /** Absent = not sold as spot. */
  readonly spot_usd_per_hour?: number;
  /** Types of one family share a quota. */
  readonly family: string;
}

/** How the fake cloud behaves: `~/.sky/fake.yaml`, read again for every call, so that it may be changed while launches run. */
export interface FakeSettings {
  /** Region → its zones. */
  readonly regions: Readonly<Record<string, readonly string[]>>;
  /** Region → factor on every price. */
  readonly price_factors: Readonly<Record<string, number>>;
  readonly types: Readonly<Record<string, FakeType>>;
  /** Of the disk of a node, also while it is stopped. */
  readonly disk_usd_per_gib_month: number;
  /** Of the public address of a node that runs. */
  readonly ipv4_usd_per_hour: number;
  /** `zone` or `zone/type` → nodes that may run there; the finer key counts. */
  readonly capacity: Readonly<Record<string, number>>;
  readonly default_capacity: number;
  /** `region/family`, with `/spot` behind it for spot nodes → vCPUs that the account may run. */
  readonly quotas: Readonly<Record<string, number>>;
  /** Regions without a usable network. */
  readonly broken_networks: readonly string[];
  /** Actions that the account may not do: run, query, stop, terminate. */
  readonly denied: readonly string[];
  /** False: the nodes of a call are made one by one, and some are left when the zone gets full. */
  readonly gang: boolean;
  /** Seconds until a new node is seen; until it runs; from the notice to the end of a spot node. */
  readonly visible_after: number;
  readonly running_after: number;
  /** Seconds after which spot nodes are taken away; 0 = never. */
  readonly spot_ends_after: number;
  /** Calls that are let through each second; 0 = any number. */
  readonly calls_per_second: number;
  /** Of so many calls that change something, the answer to one is lost after it was obeyed; 0 = none. */
  readonly lose_every: number;
}

export const DEFAULT_SETTINGS: FakeSettings = {
  regions: { east: ["east-a", "east-b", "east-c"], west: ["west-a", "west-b"] },
  price_factors: { west: 1.5 },
  types: {
    "fake.small": { cpus: 2, memory_gib: 8, usd_per_hour: 0.1, spot_usd_per_hour: 0.03, family: "standard" },
    "fake.large": { cpus: 8, memory_gib: 32, usd_per_hour: 0.4, spot_usd_per_hour: 0.12, family: "standard" },
    "fake.gpu": {
      cpus: 8,
      memory_gib: 32,
      accelerators: { T4: 1 },
      usd_per_hour: 0.6,
      spot_usd_per_hour: 0.2,
      family: "gpu",
    },
  },
  disk_usd_per_gib_month: 0.08,
  ipv4_usd_per_hour: 0.005,
  capacity: {},
  default_capacity: 8,
  quotas: {},
  broken_networks: [],
  denied: [],
  gang: true,
  visible_after: 0,
  running_after: 0,
  spot_ends_after: 0,
  calls_per_second: 0,
  lose_every: 0,
};

const AMOUNT = atLeast(0, "number");

const SCHEMA: Schema = object({
  regions: mapOf(listOf(STRING)),
  price_factors: mapOf(AMOUNT),
  types: mapOf(
    object(
      {
        cpus: AMOUNT,
        memory_gib: AMOUNT,
        accelerators: mapOf(AMOUNT),
        usd_per_hour: AMOUNT,
        spot_usd_per_hour: AMOUNT,
        family: STRING,
      },
      ["cpus", "memory_gib", "usd_per_hour", "family"],
    ),
  ),
  disk_usd_per_gib_month: AMOUNT,
  ipv4_usd_per_hour: AMOUNT,
  capacity: mapOf(atLeast(0)),
  default_capacity: atLeast(0),
  quotas: mapOf(AMOUNT),
  broken_networks: listOf(STRING),
  denied: listOf({ type: "string", enum: ["run", "query", "stop", "terminate"] }),
  gang: BOOLEAN,
  visible_after: AMOUNT,
  running_after: AMOUNT,
  spot_ends_after: AMOUNT,
  calls_per_second: AMOUNT,
  lose_every: atLeast(0),
});

/** Undefined when there is no such file: the cloud is off. Throws InvalidConfigError that names the place in the file. */
export function readSettings(path: string): FakeSettings | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new InvalidConfigError(`${path} cannot be read: ${(error as Error).message}.`, { cause: error });
  }
  const root = parseYaml(text, { file: path })?.root;
  if (root === undefined) return DEFAULT_SETTINGS;
  checkSchema(root, SCHEMA, { prefix: `Invalid settings of the fake cloud in ${path}: `, file: path });
  return { ...DEFAULT_SETTINGS, ...(plainOf(root) as Partial<FakeSettings>) };
}

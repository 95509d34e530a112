import type { LedgerEntry, Refusal } from "./ec2-world.ts";

interface Group {
  readonly name: string;
  readonly region: string;
  readonly strategy: string;
  readonly isTagged: boolean;
  readonly createdMs: number;
}

/** How EC2 behaves with them; a test may change it at any time. */
export interface PlacementRules {
  /** How long launches do not know a new group. */
  unknownMs: number;
  /** How long a terminated instance stays in its group. */
  leavingMs: number;
  /** Zones without room for several nodes close together; `*` = all. */
  crowded: readonly string[];
}

/** EC2's placement groups, which moto does not have. */
export class PlacementGroups {
  readonly rules: PlacementRules = { unknownMs: 0, leavingMs: 0, crowded: [] };
  readonly #groups = new Map<string, Group>();
  /** Names of groups by instance. */
  readonly #members = new Map<string, string>();
  readonly #ledger: ReadonlyMap<string, LedgerEntry>;

  constructor(ledger: ReadonlyMap<string, LedgerEntry>) {
    this.#ledger = ledger;
  }

  /** `region/name` of each. */
  names(): readonly string[] {
    return [...this.#groups.keys()];
  }

  groupOf(instance: string): string | undefined {
    return this.#members.get(instance);
  }

  joined(instance: string, params: URLSearchParams): void {
    const name = params.get("Placement.GroupName");
    if (name !== null) this.#members.set(instance, name);
  }

  /** The answer to a call about groups; undefined for any other call. */
  answer(action: string, region: string, params: URLSearchParams): string | Refusal | undefined {
    switch (action) {
      case "CreatePlacementGroup":
        return this.#create(region, params);
      case "DeletePlacementGroup":
        return this.#delete(region, params.get("GroupName") ?? "");
      case "DescribePlacementGroups":
        return this.#describe(region, params);
      default:
        return undefined;
    }
  }

  refuseLaunch(region: string, zone: string, params: URLSearchParams): Refusal | undefined {
    const name = params.get("Placement.GroupName");
    if (name === null) return undefined;
    const group = this.#groups.get(`${region}/${name}`);
    if (group === undefined || Date.now() - group.createdMs < this.rules.unknownMs) return unknown(name);
    const { crowded } = this.rules;
    if (!crowded.includes(zone) && !crowded.includes("*")) return undefined;
    const message = "We currently do not have sufficient capacity to launch all of the additional requested instances.";
    return { status: 500, code: "InsufficientInstanceCapacity", message };
  }

  #create(region: string, params: URLSearchParams): string | Refusal {
    const name = params.get("GroupName") ?? "";
    const key = `${region}/${name}`;
    if (this.#groups.has(key)) {
      const message = `The placement group '${name}' already exists.`;
      return { status: 400, code: "InvalidPlacementGroup.Duplicate", message };
    }
    const isTagged = params.get("TagSpecification.1.Tag.1.Key") === "skypilot";
    const strategy = params.get("Strategy") ?? "";
    this.#groups.set(key, { name, region, strategy, isTagged, createdMs: Date.now() });
    return "<CreatePlacementGroupResponse><return>true</return></CreatePlacementGroupResponse>";
  }

  #delete(region: string, name: string): string | Refusal {
    const key = `${region}/${name}`;
    if (!this.#groups.has(key)) return unknown(name);
    if ([...this.#members].some(([id, group]) => group === name && this.#isThere(id, region))) {
      const message = `The placement group '${name}' is in use and may not be deleted.`;
      return { status: 400, code: "InvalidPlacementGroup.InUse", message };
    }
    this.#groups.delete(key);
    return "<DeletePlacementGroupResponse><return>true</return></DeletePlacementGroupResponse>";
  }

  #isThere(id: string, region: string): boolean {
    const entry = this.#ledger.get(id);
    if (entry?.region !== region) return false;
    return entry.state !== "terminated" || Date.now() - entry.changedMs < this.rules.leavingMs;
  }

  #describe(region: string, params: URLSearchParams): string {
    const wanted = params.get("Filter.1.Value.1") ?? "*";
    const isMeant = new RegExp(`^${wanted.replaceAll("*", ".*")}$`, "u");
    const needsTag = params.get("Filter.2.Name") === "tag:skypilot";
    const items = [...this.#groups.values()]
      .filter((each) => each.region === region && isMeant.test(each.name) && (each.isTagged || !needsTag))
      .map(({ name, strategy }) => `<item><groupName>${name}</groupName><strategy>${strategy}</strategy></item>`);
    const set = `<placementGroupSet>${items.join("")}</placementGroupSet>`;
    return `<DescribePlacementGroupsResponse>${set}</DescribePlacementGroupsResponse>`;
  }
}

function unknown(name: string): Refusal {
  return {
    status: 400,
    code: "InvalidPlacementGroup.Unknown",
    message: `The Placement Group '${name}' is unknown.`,
  };
}

import { createHash } from "node:crypto";
import { PlacementGroups } from "./placement-groups.ts";
import { itemsOf, mapItems, textOf } from "./xml-items.ts";

/** How EC2 behaves where moto is simpler; a test may change all of it at any time. */
export interface WorldRules {
  /** How long a new instance is missing from lists, in ms. */
  invisibleMs: number;
  /** How long it is `pending`, and a stopped one `stopping`. */
  pendingMs: number;
  stoppingMs: number;
  /** How long EC2 does not know a new instance profile. */
  profileMs: number;
  /** Room by `type/zone` or `zone`, or everywhere (`*`); absent = endless. */
  capacity: Record<string, number>;
  /** Codes that RunInstances answers in a zone, or everywhere (`*`). */
  refusals: Record<string, { readonly code: string; readonly message: string; readonly status: number }>;
  reservations: readonly Reservation[];
  /** vCPUs by `code` or `region/code`; others are none that AWS knows. */
  quotas: Record<string, number>;
}

/** Capacity that the account has paid for. */
export interface Reservation {
  readonly id: string;
  readonly type: string;
  readonly zone: string;
  readonly free: number;
  /** For launches that name none, too. */
  readonly isOpen?: boolean;
  readonly isBlock?: boolean;
}

export interface LedgerEntry {
  readonly id: string;
  readonly type: string;
  readonly zone: string;
  readonly region: string;
  readonly cluster: string;
  readonly token: string;
  readonly createdMs: number;
  state: "running" | "stopped" | "terminated";
  changedMs: number;
  /** When it was started again; absent = never. */
  startedMs?: number;
}

export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

interface Remembered {
  readonly form: string;
  readonly answer: string;
}

/** What AWS keeps besides moto: who created what under which token, and since when. */
export class Ec2World {
  readonly rules: WorldRules = {
    invisibleMs: 0,
    pendingMs: 0,
    stoppingMs: 0,
    profileMs: 0,
    capacity: {},
    refusals: {},
    reservations: [],
    quotas: {},
  };
  readonly ledger = new Map<string, LedgerEntry>();
  readonly placement = new PlacementGroups(this.ledger);
  /** Why instances stopped or ended, by id, where it was not by a call. */
  readonly reasons = new Map<string, string>();
  readonly #zones = new Map<string, string>();
  readonly #profiles = new Map<string, number>();
  readonly #tokens = new Map<string, Remembered>();
  readonly #images = new Set<string>();

  /** Launches whose token came before, by the token and the zone: each holds once. */
  replay(params: URLSearchParams): string | Refusal | undefined {
    const remembered = this.#tokens.get(this.#tokenKey(params));
    if (remembered === undefined) return undefined;
    if (remembered.form === formOf(params)) return remembered.answer;
    return {
      status: 400,
      code: "IdempotentParameterMismatch",
      message: "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
    };
  }

  refuse(action: string, params: URLSearchParams, region: string): Refusal | undefined {
    if (action === "StartInstances") return this.#refuseStart(params);
    if (this.#isKnownImage(action, params)) {
      return { status: 400, code: "InvalidAMIName.Duplicate", message: "AMI name is already in use by another AMI" };
    }
    if (action !== "RunInstances") return undefined;
    const zone = this.zoneOf(params);
    const profile = params.get("IamInstanceProfile.Arn")?.split("/").at(-1) ?? params.get("IamInstanceProfile.Name");
    if (
      profile !== null &&
      profile !== undefined &&
      Date.now() - (this.#profiles.get(profile) ?? 0) < this.rules.profileMs
    ) {
      const message = `Value (${profile}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name`;
      return { status: 400, code: "InvalidParameterValue", message };
    }
    const refusal = this.rules.refusals[zone] ?? this.rules.refusals["*"];
    return refusal ?? this.placement.refuseLaunch(region, zone, params) ?? this.#refuseCrowd(params, zone);
  }

  /** Names of images are unique in an account and region; moto does not mind. */
  #isKnownImage(action: string, params: URLSearchParams): boolean {
    return this.#images.has(`${action}\n${params.get("Name") ?? ""}`);
  }

  #refuseCrowd(params: URLSearchParams, zone: string): Refusal | undefined {
    const type = params.get("InstanceType") ?? "";
    const { capacity } = this.rules;
    const own = capacity[`${type}/${zone}`] ?? capacity[zone];
    const limit = own ?? capacity["*"];
    if (limit === undefined) return undefined;
    const isCounted = (each: LedgerEntry): boolean => own === undefined || each.zone === zone;
    const used = [...this.ledger.values()].filter((each) => isCounted(each) && each.state === "running").length;
    if (used + Number(params.get("MinCount")) <= limit) return undefined;
    const message = `We currently do not have sufficient ${type} capacity in the Availability Zone you requested (${zone}).`;
    return { status: 500, code: "InsufficientInstanceCapacity", message };
  }

  #refuseStart(params: URLSearchParams): Refusal | undefined {
    const busy = idsOf(params).find((id) => this.#isStopping(id));
    if (busy === undefined) return undefined;
    const message = `The instance '${busy}' is not in a state from which it can be started.`;
    return { status: 400, code: "IncorrectInstanceState", message };
  }

  #isStopping(id: string): boolean {
    const entry = this.ledger.get(id);
    return entry?.state === "stopped" && Date.now() - entry.changedMs < this.rules.stoppingMs;
  }

  /** Takes note of what moto did, and gives the answer as AWS would. */
  observe(action: string, params: URLSearchParams, answer: string, region: string): string {
    switch (action) {
      case "RunInstances":
        this.#created(params, answer, region);
        this.#tokens.set(this.#tokenKey(params), { form: formOf(params), answer });
        return answer;
      case "StartInstances":
        this.#changed(params, "running");
        return answer;
      case "StopInstances":
        this.#changed(params, "stopped");
        return answer;
      case "CreateImage":
      case "CopyImage":
        this.#images.add(`${action}\n${params.get("Name") ?? ""}`);
        return answer;
      case "TerminateInstances":
        this.#changed(params, "terminated");
        return answer;
      case "DescribeSubnets":
        for (const { text } of itemsOf(answer, "subnetSet")) {
          this.#zones.set(textOf(text, "subnetId") ?? "", textOf(text, "availabilityZone") ?? "");
        }
        return answer;
      case "CreateInstanceProfile":
        this.#profiles.set(params.get("InstanceProfileName") ?? "", Date.now());
        return answer;
      case "DescribeInstances":
        return this.#show(answer);
      default:
        return answer;
    }
  }

  /** What DescribeCapacityReservations answers, of which moto knows nothing. */
  reservations(region: string, params: URLSearchParams): string {
    const type = [...params].find(([, value]) => value === "instance-type")?.[0].replace(/Name$/u, "Value.1") ?? "";
    const found = this.rules.reservations.filter(
      (one) => one.zone.startsWith(region) && [null, one.type].includes(params.get(type)),
    );
    const items = found.map(({ id, type: instanceType, zone, free, isOpen, isBlock }) => {
      const match = isOpen === true ? "open" : "targeted";
      const kind = isBlock === true ? "capacity-block" : "default";
      return `<item><capacityReservationId>${id}</capacityReservationId><instanceType>${instanceType}</instanceType><availabilityZone>${zone}</availabilityZone><availableInstanceCount>${free}</availableInstanceCount><instanceMatchCriteria>${match}</instanceMatchCriteria><reservationType>${kind}</reservationType><state>active</state></item>`;
    });
    const set = `<capacityReservationSet>${items.join("")}</capacityReservationSet>`;
    return `<DescribeCapacityReservationsResponse>${set}</DescribeCapacityReservationsResponse>`;
  }

  /** What Service Quotas answers, of which moto knows those of VPCs alone. */
  quota(region: string, params: URLSearchParams): string | Refusal {
    const code = params.get("QuotaCode") ?? "";
    const Value = this.rules.quotas[`${region}/${code}`] ?? this.rules.quotas[code];
    if (Value !== undefined) return JSON.stringify({ Quota: { QuotaCode: code, QuotaName: `Quota ${code}`, Value } });
    return { status: 400, code: "NoSuchResourceException", message: "The specified resource does not exist" };
  }

  zoneOf(params: URLSearchParams): string {
    const subnet = params.get("NetworkInterface.1.SubnetId") ?? params.get("SubnetId") ?? "";
    return this.#zones.get(subnet) ?? "";
  }

  #tokenKey(params: URLSearchParams): string {
    return `${params.get("ClientToken") ?? ""}\n${this.zoneOf(params)}`;
  }

  #created(params: URLSearchParams, answer: string, region: string): void {
    const createdMs = Date.now();
    const cluster = /<key>ray-cluster-name<\/key>\s*<value>([^<]*)</u.exec(answer)?.[1] ?? "";
    for (const { text } of itemsOf(answer, "instancesSet")) {
      const id = textOf(text, "instanceId") ?? "";
      const entry = { id, cluster, region, createdMs, changedMs: createdMs, state: "running" as const };
      const type = params.get("InstanceType") ?? "";
      this.placement.joined(id, params);
      this.ledger.set(id, { ...entry, type, zone: this.zoneOf(params), token: params.get("ClientToken") ?? "" });
    }
  }

  #changed(params: URLSearchParams, state: LedgerEntry["state"]): void {
    for (const id of idsOf(params)) {
      const entry = this.ledger.get(id);
      if (entry === undefined || entry.state === "terminated" || entry.state === state) continue;
      entry.state = state;
      entry.changedMs = Date.now();
      if (state === "running") entry.startedMs = entry.changedMs;
      this.reasons.delete(id);
    }
  }

  /** Leaves out what is too new to be seen, and shows what is on its way as such. */
  #show(answer: string): string {
    const now = Date.now();
    return mapItems(answer, "reservationSet", (reservation) => {
      const id = textOf(reservation, "instanceId") ?? "";
      const created = this.ledger.get(id)?.createdMs ?? 0;
      if (now - created < this.rules.invisibleMs) return undefined;
      return mapItems(reservation, "instancesSet", (item) => this.#showOne(item, now));
    });
  }

  #showOne(item: string, now: number): string {
    const id = textOf(item, "instanceId") ?? "";
    const entry = this.ledger.get(id);
    const reason = this.reasons.get(id);
    const group = this.placement.groupOf(id);
    // moto shows every instance in a group without a name.
    const placed = item.replace(
      /(<placement>(?:(?!<\/placement>)[\s\S])*?)<groupName(?:\/>|>[^<]*<\/groupName>)/u,
      (_all, open: string) => `${open}<groupName>${group ?? ""}</groupName>`,
    );
    const told =
      reason === undefined
        ? placed
        : placed.replace(/(<stateReason><code>)[^<]*/u, (_all, open: string) => open + reason);
    if (entry === undefined) return told;
    const since = now - entry.changedMs;
    // moto tells when it was made, EC2 when it was last started.
    const timed =
      entry.startedMs === undefined
        ? told
        : told.replace(
            /(<launchTime>)[^<]*/u,
            (_all, open: string) => open + new Date(entry.startedMs ?? 0).toISOString(),
          );
    return timed.replace(/(<instanceState>[\s\S]*?<name>)(running|stopped)/u, (all, open: string, state: string) => {
      if (state === "running" && since < this.rules.pendingMs) return `${open}pending`;
      if (state === "stopped" && since < this.rules.stoppingMs) return `${open}stopping`;
      return all;
    });
  }
}

function idsOf(params: URLSearchParams): readonly string[] {
  return [...params].flatMap(([key, value]) => (/^InstanceId\.\d+$/u.test(key) ? [value] : []));
}

function formOf(params: URLSearchParams): string {
  const sorted = [...params].filter(([key]) => key !== "ClientToken").toSorted(([a], [b]) => a.localeCompare(b));
  return createHash("sha256").update(JSON.stringify(sorted)).digest("hex");
}

import {
  DescribeInstancesCommand,
  DescribeSecurityGroupsCommand,
  type Instance as Ec2Instance,
} from "@aws-sdk/client-ec2";
import { createAwsCloud } from "../../../src/clouds/aws/index.ts";
import { CLUSTER_TAG, indicesOf, tagOf } from "../../../src/clouds/aws/nodes/node-tags.ts";
import type { Cloud } from "../../../src/core/ports/cloud.ts";
import type { Clock } from "../../../src/shared/clock.ts";
import type { AgentFleet } from "../../fakes/agent-fleet.ts";
import { CrashError, createFakeWorld } from "../../fakes/fake-world.ts";
import type { Tripwire } from "../../fakes/tripwire.ts";
import type { FaultProxy } from "../aws/fault-proxy.ts";
import { type Fault, type SeenCall } from "../aws/fault-proxy.ts";
import { Moto } from "../aws/moto.ts";
import { itemsOf, textOf } from "../aws/xml-items.ts";
import { freshProxy, KEY_VARIABLES } from "../aws/node-rig.ts";
import { installZoneNames, openCatalogs } from "../catalogs.ts";
import type { Bill } from "./invariants.ts";
import type { Stage } from "./run.ts";
import type { Scenario } from "./scenarios.ts";

/** vCPUs of standard instances: without an answer every launch says that the quota is unknown. */
const QUOTAS = { "L-1216C47A": 1000 };

/**
 * EC2's adapter on moto, whose machines run agents in memory: a server dies before or after a call to AWS, as it does at a write to its
 * database or an act on a node.
 */
export class AwsStages {
  readonly #moto: Moto;
  #proxy: FaultProxy | undefined;

  private constructor(moto: Moto) {
    this.#moto = moto;
  }

  static async open(): Promise<AwsStages> {
    return new AwsStages(await Moto.start({ withNodeImages: true }));
  }

  async close(): Promise<void> {
    await this.#proxy?.close();
    this.#moto.stop();
  }

  /** Everything that was there before is gone. */
  readonly openStage = async ({ refusal }: Scenario, tripwire: Tripwire): Promise<Stage> => {
    const moto = this.#moto;
    await this.#proxy?.close();
    const proxy = await freshProxy(moto);
    this.#proxy = proxy;
    proxy.world.rules.quotas = QUOTAS;
    if (refusal !== undefined)
      proxy.world.rules.refusals = { "*": { code: refusal, message: "There is none.", status: 500 } };
    const machines = new Map<string, string>();
    // Instances that end when they power themselves off, of which moto takes no note.
    const ending = new Set<string>();
    const world = await createFakeWorld(
      {},
      {
        tripwire,
        openCloud: ({ fleet, clock, home }) => {
          installZoneNames(home);
          watchCalls(proxy, tripwire, { ending, powerOff: (id) => fleet.kill(machines.get(id) ?? "") });
          return openCloud({ url: proxy.url, home, clock, fleet, tripwire, machines });
        },
      },
    );
    return { world, isTimed: false, readBill: () => readBill(moto, proxy, ending) };
  };
}

/** A call that changes something is two points: before it, and after it, when its answer is lost. */
function watchCalls(
  proxy: FaultProxy,
  tripwire: Tripwire,
  { ending, powerOff }: { readonly ending: Set<string>; readonly powerOff: (id: string) => void },
): void {
  const dies = (point: string): boolean => {
    try {
      tripwire.pass(point);
      return false;
    } catch (error) {
      if (error instanceof CrashError) return true;
      throw error;
    }
  };
  const lost = new Set<SeenCall>();
  proxy.faultOf = (call): Fault | undefined => (dies(`${call.action}:before`) ? { kind: "cut" } : undefined);
  proxy.onDone = (call, answer) => {
    noteEnding(call, answer, ending);
    const ids = [...call.params].flatMap(([key, value]) => (/^InstanceId\.\d+$/u.test(key) ? [value] : []));
    if (/:(Stop|Terminate)Instances$/u.test(call.action)) for (const id of ids) powerOff(id);
    if (!/:(Describe|Get|List)/u.test(call.action) && dies(`${call.action}:after`)) lost.add(call);
  };
  proxy.isLost = (call) => lost.has(call);
}

function noteEnding({ action, params }: SeenCall, answer: string, ending: Set<string>): void {
  if (action === "ec2:RunInstances" && params.get("InstanceInitiatedShutdownBehavior") === "terminate") {
    for (const { text } of itemsOf(answer, "instancesSet")) ending.add(textOf(text, "instanceId") ?? "");
  }
  if (action === "ec2:ModifyInstanceAttribute" && params.get("InstanceInitiatedShutdownBehavior.Value") === "stop") {
    ending.delete(params.get("InstanceId") ?? "");
  }
}

interface CloudParts {
  readonly url: string;
  readonly home: string;
  readonly clock: Clock;
  readonly fleet: AgentFleet;
  readonly tripwire: Tripwire;
  /** Roots of the agents by instance. */
  readonly machines: Map<string, string>;
}

function openCloud({ url, home, clock, fleet, tripwire, machines }: CloudParts): Cloud {
  const env = { AWS_ENDPOINT_URL: url, AWS_REGION: "us-east-1", ...KEY_VARIABLES };
  // A process that is dead does not try again.
  const mortal: Clock = {
    now: () => clock.now(),
    sleep: async (ms, options) => {
      if (tripwire.isDead) throw new CrashError("dead");
      await clock.sleep(ms, options);
    },
  };
  const cloud = createAwsCloud({ home, env, catalogs: openCatalogs(home), clock: mortal });
  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw tripwire.isDead ? new CrashError("died in a call to AWS", { cause: error }) : error;
    }
  };
  return {
    ...cloud,
    identity: (...args) => call(async () => (await cloud.identity?.(...args)) ?? null),
    offers: (...args) => call(() => cloud.offers(...args)),
    run: (...args) => call(() => cloud.run(...args)),
    query: (...args) => call(() => cloud.query(...args)),
    queryMany: (...args) => call(async () => (await cloud.queryMany?.(...args)) ?? []),
    stop: (...args) => call(async () => cloud.stop?.(...args)),
    terminate: (...args) => call(() => cloud.terminate(...args)),
    setPowerOff: (...args) => call(async () => cloud.setPowerOff?.(...args)),
    check: () => Promise.resolve({ enabled: ["compute"], reasons: [], details: [] }),
    runner: (instance) => {
      machines.set(instance.id, instance.agentRoot);
      return Promise.resolve(fleet.runner(instance));
    },
  };
}

async function readBill(moto: Moto, proxy: FaultProxy, ending: ReadonlySet<string>): Promise<Bill> {
  const answer = await moto.ec2().send(new DescribeInstancesCommand({}));
  const instances = (answer.Reservations ?? []).flatMap((each) => each.Instances ?? []);
  const byCluster = Map.groupBy(instances, nameOf);
  const index = new Map([...byCluster.values()].flatMap((all) => [...indicesOf(all)]));
  const entries = [...proxy.world.ledger.values()].map((entry) => ({
    ...entry,
    nameOnCloud: entry.cluster,
    index: index.get(entry.id) ?? 0,
  }));
  const acts = entries.flatMap((entry) => [
    { what: "created", at: entry.createdMs, ...entry },
    ...(entry.state === "terminated" ? [{ what: "terminated", at: entry.changedMs, ...entry }] : []),
  ]);
  const there = entries.filter((entry) => entry.state !== "terminated");
  const nodes = there.map((entry) => ({ ...entry, endsWithPowerOff: ending.has(entry.id) }));
  const groups = await moto.ec2().send(new DescribeSecurityGroupsCommand({}));
  return {
    nodes,
    ledger: acts.toSorted((one, other) => one.at - other.at),
    // The group that all clusters of a user share stays; one that is a cluster's own goes with it.
    others: (groups.SecurityGroups ?? []).flatMap(({ GroupName = "" }) =>
      GroupName.startsWith("sky-sg-c1-") ? [`the security group ${GroupName}`] : [],
    ),
  };
}

function nameOf(instance: Ec2Instance): string {
  return tagOf(instance, CLUSTER_TAG) ?? "";
}

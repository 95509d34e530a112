import { expect, test } from "vitest";
import { planNodes } from "../../src/core/provision/node-plan.ts";
import { toPlaces } from "../../src/core/provision/places.ts";
import { NoCapacityError } from "../../src/shared/errors.ts";
import type { Cloud, CloudContext, ClusterSpec, Instance, Offer, OfferRequest } from "../../src/core/ports/cloud.ts";
import { PLAIN_WISH } from "../fakes/node-wish.ts";

export interface CloudUnderTest {
  readonly cloud: Cloud;
  /** A request that fits twice, but not `crowd` times. */
  readonly request: OfferRequest;
  readonly crowd: number;
  /** A request that no place of the cloud can ever fulfil. */
  readonly impossible: OfferRequest;
  /** Whether each node is a machine of its own, on which the agent may be where it is on the others; default false. */
  readonly hasMachines?: boolean;
  /** The settings of the cloud, where it needs some. */
  readonly config?: Readonly<Record<string, unknown>>;
}

const plainContext: CloudContext = { workspace: "default", config: {}, env: {}, signal: new AbortController().signal };

/** What the core relies on; every cloud passes it. */
export function cloudContract(create: () => Promise<CloudUnderTest>): void {
  let context = plainContext;
  const open = async (): Promise<CloudUnderTest> => {
    const under = await create();
    context = { ...plainContext, config: under.config ?? {} };
    return under;
  };
  const ref = (name: string, offer: Offer) => ({
    clusterName: name,
    nameOnCloud: `${name}-0a1b2c3d`,
    region: offer.region,
    zone: offer.zone,
  });
  /** A new cluster, or one that becomes what `plan` says. */
  const spec = (name: string, offer: Offer, numNodes: number, plan = planNodes([], numNodes)): ClusterSpec => ({
    clusterName: name,
    nameOnCloud: `${name}-0a1b2c3d`,
    numNodes,
    offer,
    create: plan.create,
    start: plan.start,
    perNode: offer.resources,
    ports: [],
    labels: {},
    node: PLAIN_WISH,
  });
  const firstOffer = async ({ cloud, request }: CloudUnderTest): Promise<Offer> => {
    const { offers } = await cloud.offers(request, context);
    const [offer] = offers
      .flatMap((one) => toPlaces({ candidate: 0, displayName: "", offer: one }))
      .map((place) => place.offer);
    if (offer === undefined) throw new Error("The cloud has no offer.");
    return offer;
  };
  /** Asks until the answer is as wished; clouds need not be consistent at once. */
  const queryUntil = async (cloud: Cloud, cluster: ReturnType<typeof ref>, states: readonly string[]) => {
    for (let attempt = 0; attempt < 50; attempt++) {
      const seen = await cloud.query(cluster, context);
      if (JSON.stringify(seen.map((one) => one.state)) === JSON.stringify(states)) return seen;
    }
    throw new Error(`The instances never became ${states.join(", ")}.`);
  };

  test("is enabled for compute", async () => {
    const { cloud } = await open();
    expect((await cloud.check(context)).enabled).toContain("compute");
  });

  test("runs the nodes that were asked for, each with an address of its own", async () => {
    const under = await open();
    const offer = await firstOffer(under);
    await under.cloud.run(spec("a", offer, 2), "token", context);
    const seen = await queryUntil(under.cloud, ref("a", offer), ["running", "running"]);
    expect(seen.map((one) => one.index)).toEqual([0, 1]);
    expect(new Set(seen.map((one) => one.id)).size).toBe(2);
    const placeOf = ({ internalIp, agentRoot }: Instance): string =>
      under.hasMachines === true ? `${internalIp}:${agentRoot}` : agentRoot;
    expect(new Set(seen.map(placeOf)).size).toBe(2);
    expect(new Set(seen.map((one) => one.internalIp)).size).toBe(2);
    for (const one of seen) expect(one.internalIp).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
  });

  test("running twice creates nothing more", async () => {
    const under = await open();
    const offer = await firstOffer(under);
    await under.cloud.run(spec("a", offer, 2), "token", context);
    const first = await queryUntil(under.cloud, ref("a", offer), ["running", "running"]);
    await under.cloud.run(spec("a", offer, 2), "token", context);
    const second = await queryUntil(under.cloud, ref("a", offer), ["running", "running"]);
    expect(second.map((one) => one.id)).toEqual(first.map((one) => one.id));
  });

  test("stop keeps the nodes, run brings the same ones back", async () => {
    const under = await open();
    const { cloud } = under;
    if (cloud.stop === undefined) return;
    const offer = await firstOffer(under);
    await cloud.run(spec("a", offer, 2), "t1", context);
    const before = await queryUntil(cloud, ref("a", offer), ["running", "running"]);
    await cloud.stop(ref("a", offer), context);
    await cloud.stop(ref("a", offer), context);
    await queryUntil(cloud, ref("a", offer), ["stopped", "stopped"]);
    await cloud.run(spec("a", offer, 2, planNodes(await cloud.query(ref("a", offer), context), 2)), "t2", context);
    const after = await queryUntil(cloud, ref("a", offer), ["running", "running"]);
    expect(after.map((one) => [one.id, one.internalIp])).toEqual(before.map((one) => [one.id, one.internalIp]));
  });

  test("run with another number of nodes adds or removes the last ones", async () => {
    const under = await open();
    const offer = await firstOffer(under);
    await under.cloud.run(spec("a", offer, 1), "t1", context);
    const seen = await queryUntil(under.cloud, ref("a", offer), ["running"]);
    await under.cloud.run(spec("a", offer, 2, planNodes(seen, 2)), "t2", context);
    const both = await queryUntil(under.cloud, ref("a", offer), ["running", "running"]);
    const [first] = seen;
    expect(both[0]?.id).toBe(first?.id);
    const smaller = planNodes(both, 1);
    await under.cloud.run(spec("a", offer, 1, smaller), "t3", context);
    await under.cloud.terminate(ref("a", offer), context, smaller.surplus);
    const [last, ...rest] = await queryUntil(under.cloud, ref("a", offer), ["running"]);
    expect(last?.id).toBe(first?.id);
    expect(rest).toEqual([]);
  });

  test("terminate leaves nothing and may be repeated", async () => {
    const under = await open();
    const offer = await firstOffer(under);
    await under.cloud.run(spec("a", offer, 1), "token", context);
    await under.cloud.terminate(ref("a", offer), context);
    expect(await under.cloud.query(ref("a", offer), context)).toEqual([]);
    await under.cloud.terminate(ref("a", offer), context);
    await under.cloud.stop?.(ref("a", offer), context);
    expect(await under.cloud.query(ref("a", offer), context)).toEqual([]);
  });

  test("terminates only the instances that are named", async () => {
    const under = await open();
    const offer = await firstOffer(under);
    await under.cloud.run(spec("a", offer, 2), "token", context);
    const [first, second] = await queryUntil(under.cloud, ref("a", offer), ["running", "running"]);
    await under.cloud.terminate(ref("a", offer), context, [second?.id ?? ""]);
    const left = await queryUntil(under.cloud, ref("a", offer), ["running"]);
    expect(left.map((one) => one.id)).toEqual([first?.id]);
  });

  test("clusters do not touch each other", async () => {
    const under = await open();
    const offer = await firstOffer(under);
    await under.cloud.run(spec("a", offer, 1), "t1", context);
    await under.cloud.run(spec("b", offer, 1), "t2", context);
    await under.cloud.terminate(ref("a", offer), context);
    expect(await under.cloud.query(ref("a", offer), context)).toEqual([]);
    await queryUntil(under.cloud, ref("b", offer), ["running"]);
  });

  test("says NoCapacityError when it is full, creates nothing, and has room again after a terminate", async () => {
    const under = await open();
    const { cloud, crowd } = under;
    const offer = await firstOffer(under);
    await cloud.run(spec("a", offer, 1), "t1", context);
    await expect(cloud.run(spec("b", offer, crowd), "t2", context)).rejects.toThrow(NoCapacityError);
    expect(await cloud.query(ref("b", offer), context)).toEqual([]);
    await cloud.run(spec("b", offer, 1), "t3", context);
    await cloud.terminate(ref("a", offer), context);
    await cloud.run(spec("c", offer, 1), "t4", context);
    await queryUntil(cloud, ref("c", offer), ["running"]);
  });

  test("explains a request that it can never fulfil", async () => {
    const { cloud, impossible } = await open();
    const { offers, rejected } = await cloud.offers(impossible, context);
    expect(offers).toEqual([]);
    expect(rejected.map((one) => one.reason).join("")).not.toBe("");
  });

  test("does nothing for an aborted caller", async () => {
    const under = await open();
    const offer = await firstOffer(under);
    const signal = AbortSignal.abort(new Error("cancelled"));
    await expect(under.cloud.run(spec("a", offer, 1), "t", { ...context, signal })).rejects.toThrow("cancelled");
    expect(await under.cloud.query(ref("a", offer), context)).toEqual([]);
  });
}

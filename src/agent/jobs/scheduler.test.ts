import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NodeLedger, type Demand } from "./allocator.ts";
import { schedule, type QueuedJob, type RunningJob, type SchedulableNode } from "./scheduler.ts";

const cpu = (cpus: number): Demand => ({ cpus, memoryGib: 0, accelerators: {} });
const gpu = (count: number, name = "A100"): Demand => ({ cpus: 0.5, memoryGib: 0, accelerators: { [name]: count } });
const job = (jobId: number, demand: Demand, numNodes = 1): QueuedJob => ({ jobId, demand, numNodes });
const node = (index: number, cpus: number, accelerators: Record<string, number> = {}): SchedulableNode => ({
  index,
  isAlive: true,
  resources: { cpus, memoryGib: 16, accelerators },
});

describe("NodeLedger", () => {
  test("parts of a device are packed; whole devices must be free", () => {
    const ledger = new NodeLedger({ cpus: 8, memoryGib: 8, accelerators: { A100: 2 } });
    const half = ledger.fit(0, gpu(0.5));
    expect(half?.devices).toEqual({ A100: [{ index: 0, share: 0.5 }] });
    if (half !== undefined) ledger.take(half);
    expect(ledger.fit(0, gpu(0.25))?.devices["A100"]?.[0]?.index).toBe(0);
    expect(ledger.fit(0, gpu(0.75))?.devices["A100"]?.[0]?.index).toBe(1);
    expect(ledger.fit(0, gpu(1))?.devices["A100"]).toEqual([{ index: 1, share: 1 }]);
    expect(ledger.fit(0, gpu(2))).toBeUndefined();
  });

  test("a node with half a device holds a job that asks for half of one", () => {
    const ledger = new NodeLedger({ cpus: 8, memoryGib: 8, accelerators: { T4: 0.5 } });
    expect(ledger.fit(0, gpu(0.5, "T4"))).toBeDefined();
    expect(ledger.fit(0, gpu(1, "T4"))).toBeUndefined();
  });

  test("memory counts when asked for", () => {
    const ledger = new NodeLedger({ cpus: 8, memoryGib: 8, accelerators: {} });
    expect(ledger.fit(0, { cpus: 1, memoryGib: 8, accelerators: {} })).toBeDefined();
    expect(ledger.fit(0, { cpus: 1, memoryGib: 9, accelerators: {} })).toBeUndefined();
  });
});

describe("schedule", () => {
  test("first come, first served, as many as fit", () => {
    const placed = schedule([job(3, cpu(0.5)), job(1, cpu(0.5)), job(2, cpu(0.5))], [], [node(0, 1)]);
    expect(placed.map((placement) => placement.jobId)).toEqual([1, 2]);
  });

  test("a gang gets distinct nodes in cluster order, or none", () => {
    const nodes = [node(1, 1), node(0, 1), node(2, 1)];
    expect(schedule([job(1, cpu(1), 3)], [], nodes)[0]?.grants.map((grant) => grant.node)).toEqual([0, 1, 2]);
    expect(schedule([job(1, cpu(1), 4)], [], nodes)).toEqual([]);
  });

  test("dead nodes get nothing", () => {
    expect(schedule([job(1, cpu(1))], [], [{ ...node(0, 8), isAlive: false }])).toEqual([]);
  });

  test("small jobs pass a blocked gang on nodes that it does not need", () => {
    const nodes = [node(0, 1), node(1, 1), node(2, 1)];
    const running: RunningJob[] = [{ jobId: 1, grants: [{ node: 0, cpus: 1, memoryGib: 0, devices: {} }] }];
    const placed = schedule([job(2, cpu(1), 2), job(3, cpu(1), 3), job(4, cpu(1))], running, nodes);
    expect(placed.map((placement) => placement.jobId)).toEqual([2]);
    const blocked = schedule([job(2, cpu(1), 3), job(3, cpu(1))], running, nodes);
    expect(blocked).toEqual([]);
    const two = [...running, { jobId: 2, grants: [{ node: 1, cpus: 1, memoryGib: 0, devices: {} }] }];
    const passing = schedule([job(3, cpu(1), 2), job(4, cpu(1))], two, [...nodes, node(3, 1)]);
    expect(passing.map((placement) => placement.jobId)).toEqual([3]);
  });

  test("a small job passes on what the reserved job leaves over", () => {
    const nodes = [node(0, 4)];
    const running: RunningJob[] = [{ jobId: 1, grants: [{ node: 0, cpus: 2, memoryGib: 0, devices: {} }] }];
    const placed = schedule([job(2, cpu(3)), job(3, cpu(1)), job(4, cpu(1))], running, nodes);
    expect(placed.map((placement) => placement.jobId)).toEqual([3]);
  });

  test("a job that the cluster can never run blocks nobody", () => {
    const placed = schedule([job(1, gpu(8)), job(2, cpu(1))], [], [node(0, 1)]);
    expect(placed.map((placement) => placement.jobId)).toEqual([2]);
  });
});

const demands = fc.oneof(
  fc.constantFrom(0.5, 1, 2, 4).map(cpu),
  fc.constantFrom(0.25, 0.5, 1, 2, 4).map((count) => gpu(count)),
);
const queues = fc.array(fc.record({ demand: demands, numNodes: fc.integer({ min: 1, max: 3 }) }), { maxLength: 25 });
const clusters = fc
  .array(fc.record({ cpus: fc.constantFrom(1, 2, 4), gpus: fc.constantFrom(0, 0.5, 1, 4) }), {
    minLength: 1,
    maxLength: 4,
  })
  .map((specs) => specs.map(({ cpus, gpus }, index) => node(index, cpus, gpus > 0 ? { A100: gpus } : {})));

test("no node is ever given out twice, and every job that can run does run, however endings and arrivals mix", () => {
  fc.assert(
    fc.property(queues, clusters, fc.infiniteStream(fc.nat()), (specs, nodes, choices) => {
      const pending = specs.map((spec, index) => ({ ...job(index + 1, spec.demand), numNodes: spec.numNodes }));
      const able = new Set(pending.filter((one) => schedule([one], [], nodes).length === 1).map((one) => one.jobId));
      const done = new Set<number>();
      let running: RunningJob[] = [];
      let queue: QueuedJob[] = [];
      for (let step = 0; step < 300 && done.size < able.size; step += 1) {
        const arriving = pending.shift();
        if (arriving !== undefined) queue.push(arriving);
        const placed = schedule(queue, running, nodes);
        running.push(...placed);
        queue = queue.filter((one) => !placed.some((placement) => placement.jobId === one.jobId));
        assertWithinCapacity(running, nodes);
        const choice = choices.next().value ?? 0;
        const ending = running[choice % Math.max(1, running.length)];
        if (ending !== undefined) done.add(ending.jobId);
        running = running.filter((one) => one !== ending);
      }
      expect([...done].sort((a, b) => a - b)).toEqual([...able].sort((a, b) => a - b));
    }),
    { numRuns: 200 },
  );
});

test("a reserved job starts as soon as the jobs that ran before it have ended, whatever arrives later", () => {
  fc.assert(
    fc.property(queues, clusters, demands, fc.integer({ min: 1, max: 3 }), (specs, nodes, demand, numNodes) => {
      const wanted: QueuedJob = { jobId: 1000, demand, numNodes };
      fc.pre(schedule([wanted], [], nodes).length === 1);
      const older = specs.map((spec, index) => ({ ...job(index + 1, spec.demand), numNodes: spec.numNodes }));
      const before = schedule(older, [], nodes);
      const younger = specs.map((spec, index) => ({ ...job(2000 + index, spec.demand), numNodes: spec.numNodes }));
      const passing = schedule([wanted, ...younger], before, nodes);
      if (passing.some((placement) => placement.jobId === 1000)) return;
      const after = schedule([wanted], passing, nodes);
      expect(after.map((placement) => placement.jobId)).toEqual([1000]);
    }),
    { numRuns: 300 },
  );
});

function assertWithinCapacity(running: readonly RunningJob[], nodes: readonly SchedulableNode[]): void {
  for (const { index, resources } of nodes) {
    const grants = running.flatMap((one) => one.grants.filter((grant) => grant.node === index));
    expect(grants.reduce((sum, grant) => sum + grant.cpus, 0)).toBeLessThanOrEqual(resources.cpus + 1e-6);
    const used = new Map<number, number>();
    for (const share of grants.flatMap((grant) => grant.devices["A100"] ?? [])) {
      used.set(share.index, (used.get(share.index) ?? 0) + share.share);
    }
    for (const share of used.values()) expect(share).toBeLessThanOrEqual(1 + 1e-6);
  }
}

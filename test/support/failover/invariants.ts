import { refreshCluster } from "../../../src/core/clusters/refresh.ts";
import type { Instance } from "../../../src/core/ports/cloud.ts";
import { listCharges } from "../../../src/db/queries/cluster-charges.ts";
import type { ClusterRow } from "../../../src/db/queries/clusters.ts";
import type { FakeWorld } from "../../fakes/fake-world.ts";
import type { Scenario } from "./scenarios.ts";

export interface BilledNode {
  readonly id: string;
  readonly nameOnCloud: string;
  readonly index: number;
  readonly zone: string;
  readonly state: "running" | "stopped" | "terminated";
  /** Whether it loses its disk when it powers itself off. */
  readonly endsWithPowerOff?: boolean;
}

/** What a provider has, and what it did, in order. */
export interface Bill {
  /** Nodes that are there. */
  readonly nodes: readonly BilledNode[];
  readonly ledger: readonly (Pick<BilledNode, "id" | "nameOnCloud" | "index"> & { readonly what: string })[];
  /** Other things that are left, by name. */
  readonly others: readonly string[];
}

/** Everything that is not as promised, once the world has come to rest. */
export async function findViolations(
  world: FakeWorld,
  scenario: Scenario,
  readBill: () => Promise<Bill>,
): Promise<readonly string[]> {
  const row = await world.cluster("c1");
  const bill = await readBill();
  const found = [...checkEnd(row, scenario), ...checkBill(bill, row), ...checkHistory(bill.ledger)];
  if (row === undefined) found.push(...bill.others.map((name) => `${name} is left`));
  if (scenario.keepsDisks === true) {
    const ended = bill.ledger.filter((entry) => entry.what === "terminated");
    found.push(...ended.map((entry) => `the disk of node ${entry.index} was destroyed`));
  }
  found.push(...(await checkCharges(world, scenario)));
  found.push(...checkJobs(world, scenario), ...(await checkRest(world, { row, bill, readBill })));
  for (const error of world.backgroundErrors) found.push(`background error: ${String(error)}`);
  return found;
}

function checkEnd(row: ClusterRow | undefined, { ends, zone }: Scenario): readonly string[] {
  const status = row?.status ?? "gone";
  const found = status === ends ? [] : [`the cluster is ${status} (${row?.last_event ?? ""}), not ${ends}`];
  if (zone !== undefined && row !== undefined && row.zone !== zone) found.push(`it is in ${row.zone}, not ${zone}`);
  if (row !== undefined && row.busy_request !== null) found.push(`request ${row.busy_request} is still at work on it`);
  return found;
}

/** What the provider bills is what the database knows. */
function checkBill({ nodes }: Bill, row: ClusterRow | undefined): readonly string[] {
  if (row === undefined) return nodes.map((node) => `orphan: ${node.id} in ${node.zone}`);
  const own = nodes.filter((node) => node.nameOnCloud === row.name_on_cloud);
  const found = nodes.filter((node) => !own.includes(node)).map((node) => `orphan: ${node.id} of ${node.nameOnCloud}`);
  const state = row.status === "STOPPED" ? "stopped" : "running";
  const indices = own.filter((node) => node.state === state).map((node) => node.index);
  const wanted = Array.from({ length: row.num_nodes }, (_, index) => index);
  if (indices.toSorted((a, b) => a - b).join() !== wanted.join()) found.push(`nodes ${indices.join()} are ${state}`);
  if (own.length !== row.num_nodes) found.push(`${own.length} nodes for a cluster of ${row.num_nodes}`);
  for (const node of own)
    if (node.endsWithPowerOff === true && row.to_down === 0) found.push(`the disk of ${node.id} is lost at autostop`);
  for (const node of own)
    if (node.zone !== row.zone) found.push(`${node.id} is in ${node.zone}, the row says ${row.zone}`);
  const known = (JSON.parse(row.instances) as readonly Instance[]).map((instance) => instance.id).toSorted();
  if (
    known.join() !==
    own
      .map((node) => node.id)
      .toSorted()
      .join()
  )
    found.push(`the row knows ${known.join() || "nothing"}`);
  return found;
}

/** What costs something is charged, and what is gone is not. */
async function checkCharges(world: FakeWorld, { ends }: Scenario): Promise<readonly string[]> {
  const charges = await listCharges(world.database.db);
  const open = charges.filter((charge) => charge.ended_at === null).map((charge) => charge.state);
  const wanted = { UP: "running", STOPPED: "stopped", gone: "" }[ends];
  return open.join() === wanted ? [] : [`${open.join() || "nothing"} is charged for a cluster that is ${ends}`];
}

/** At no time two instances for one node, and none without a tag. */
function checkHistory(ledger: Bill["ledger"]): readonly string[] {
  const live = new Map<string, string>();
  const found: string[] = [];
  for (const { what, id, nameOnCloud, index } of ledger) {
    const node = `${nameOnCloud}/${index}`;
    if (nameOnCloud === "") found.push(`${id} was made without a tag`);
    if (what === "created") {
      if (live.has(node)) found.push(`node ${index} was made twice: ${live.get(node)} and ${id}`);
      live.set(node, id);
    }
    if (what === "terminated" && live.get(node) === id) live.delete(node);
  }
  return found;
}

function checkJobs(world: FakeWorld, { jobs, steps, ends }: Scenario): readonly string[] {
  const keys = world.fleet.heads().flatMap((head) => head.submissions.map((one) => one.key));
  const found = new Set(keys).size === keys.length ? [] : ["a job was submitted twice"];
  // A launch that was cancelled may or may not have got as far as its job.
  const most = jobs;
  const least = jobs - steps.filter((step) => !step.isResumed).length;
  if (keys.length > most || keys.length < least) found.push(`${keys.length} jobs, not ${jobs}`);
  const running = world.fleet.running().length;
  if (ends !== "UP" && running > 0) found.push(`${running} agents still run`);
  return found;
}

/** A look at a world at rest changes nothing, and a second one neither. */
async function checkRest(
  world: FakeWorld,
  before: { readonly row: ClusterRow | undefined; readonly bill: Bill; readonly readBill: () => Promise<Bill> },
): Promise<readonly string[]> {
  const { row } = before;
  for (let look = 1; look <= 2; look++) {
    await world.clock.sleep(120_000);
    const context = await world.server().context(`look-${look}`);
    await refreshCluster("c1", context, { ...context, workspace: "default", env: {} });
  }
  const after = await world.cluster("c1");
  const { ledger } = await before.readBill();
  const found = ledger.length === before.bill.ledger.length ? [] : ["a look changed something on the cloud"];
  const isSame = after?.status === row?.status && after?.phase === row?.phase && after?.instances === row?.instances;
  if (!isSame)
    found.push(`a look moved the cluster from ${row?.status}/${row?.phase} to ${after?.status}/${after?.phase}`);
  return found;
}

import { afterEach, beforeEach, expect, test } from "vitest";
import { openDatabase, type OpenDatabase } from "../../db/database.ts";
import { listClusterMounts } from "../../db/queries/cluster-mounts.ts";
import type { MountParams, MountSpec, MountState } from "../../shared/agent/mounts.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { OperationContext } from "../operation.ts";
import { mountedPlaces } from "./mounted-places.ts";
import { mountBucket, type MountTarget } from "./mount-bucket.ts";

const HASH = "hash-of-c";
let database: OpenDatabase;

beforeEach(async () => {
  database = await openDatabase({ sqlite: ":memory:" });
});
afterEach(() => database.close());

/** Agents of two nodes whose role reaches nothing. */
class Nodes {
  /** `bucket credentials` of what they were told to mount. */
  readonly told: string[] = [];
  states: Omit<MountState, "hasKeys">[] = [];
  /** There is something that another bucket would displace. */
  hasUnsent = false;
  isCutOff = false;

  async call(method: string, params: unknown): Promise<object> {
    if (this.isCutOff) throw new Error("The connection broke.");
    if (method === "mount_states") return { mounts: this.states };
    for (const { spec } of (params as MountParams).mounts) {
      this.told.push(`${spec.bucket} ${spec.credentials}`);
      if (this.hasUnsent && spec.bucket !== "one")
        throw new AgentPeerError("MOUNT_UNSENT", "Mounting it would lose files.");
      if (spec.credentials === "node") throw new AgentPeerError("MOUNT_DENIED", "The role may not.");
      this.states = [0, 1].map((node) => ({ node, dest: spec.dest, state: "mounted" }));
    }
    return {};
  }
}

async function launch(nodes: Nodes, bucket: string): Promise<void> {
  const store = { scheme: "s3", cloud: "aws", endpoint: () => Promise.resolve(undefined) };
  const keys = { accessKeyId: "id", secretAccessKey: "s", how: "a federation token", isConfigured: false };
  const context = {
    db: database.db,
    requestId: "r",
    config: {},
    caller: { workspace: "default" },
    signal: new AbortController().signal,
    log: { line: () => undefined },
    stores: { load: () => Promise.resolve(store) },
    mounters: { pins: () => Promise.resolve([]) },
    mountKeys: { lend: () => Promise.resolve({ keys }), remember: () => undefined, follow: () => Promise.resolve() },
  } as unknown as OperationContext;
  const target = {
    mount: { dest: "~/data", store: "S3", bucket, prefix: "", uri: `s3://${bucket}` },
    region: "us-east-1",
    cluster: { row: { name: "c", cluster_hash: HASH, cloud: "aws", num_nodes: 2, workspace: "default" } },
    agent: nodes as unknown as AgentPeer,
    before: (await listClusterMounts(database.db, HASH)).find(({ dest }) => dest === "~/data"),
  } as unknown as MountTarget;
  return mountBucket(target, context);
}

test("nodes that have a bucket by keys keep it, and those that lack it try their role first", async () => {
  const nodes = new Nodes();
  await launch(nodes, "one");
  expect(nodes.told.splice(0)).toEqual(["one node", "one lent"]);
  await launch(nodes, "one");
  expect(nodes.told.splice(0)).toEqual(["one lent"]);
  nodes.states.pop();
  await launch(nodes, "one");
  expect(nodes.told.splice(0)).toEqual(["one node", "one lent"]);
  await launch(nodes, "two");
  expect(nodes.told).toEqual(["two node", "two lent"]);
});

test("a bucket that has to stay goes on getting its keys", async () => {
  const nodes = new Nodes();
  await launch(nodes, "one");
  nodes.told.splice(0);
  nodes.hasUnsent = true;
  await expect(launch(nodes, "two")).rejects.toMatchObject({ agentCode: "MOUNT_UNSENT" });
  const specs = (await listClusterMounts(database.db, HASH)).map(({ spec }) => JSON.parse(spec) as MountSpec);
  expect(specs).toMatchObject([{ bucket: "one", credentials: "lent" }]);
  // A node that had nothing to send may have the other one by then.
  expect(nodes.told).toEqual(["two node", "one lent"]);
});

test("what a launch that was cut off may have left goes on getting its keys, until another one has come through", async () => {
  const nodes = new Nodes();
  await launch(nodes, "one");
  nodes.isCutOff = true;
  await expect(launch(nodes, "two")).rejects.toThrow("The connection broke.");
  await expect(launch(nodes, "three")).rejects.toThrow("The connection broke.");
  const places = async (): Promise<string[]> =>
    (await listClusterMounts(database.db, HASH)).flatMap(mountedPlaces).map(({ spec }) => spec.bucket);
  expect(await places()).toEqual(["three", "two", "one"]);
  nodes.isCutOff = false;
  await launch(nodes, "one");
  expect(await places()).toEqual(["one"]);
});

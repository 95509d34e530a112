import { afterAll, beforeAll, expect, it } from "vitest";
import { buildPolicy, type PolicyStatement } from "../../src/clouds/aws/policy/document.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { MountRig } from "../support/s3/mount-rig.ts";

const LONG_MS = 120_000;
const TASK = `
resources: {infra: ssh/rack}
file_mounts:
  ~/data: {source: s3://data}
run: cat ~/data/a.txt; echo new > ~/data/new.txt; mv ~/data/new.txt ~/data/newer.txt; rm ~/data/old.txt
`;

/** What `sky aws policy --features mounts` prints, held against every request of server and nodes to S3. */
describeWithFleet("the permissions of mounted buckets", () => {
  let rig: MountRig;
  const documented = buildPolicy({
    tier: "user",
    features: ["mounts"],
    account: "123456789012",
    regions: [],
    isTagScoped: false,
  }).Statement;

  beforeAll(async () => {
    rig = await MountRig.create([{ name: "a" }]);
    await rig.createBucket("data", { "a.txt": "one\n", "b.txt": "two\n", "old.txt": "old\n" });
    rig.front.base = documented;
    await rig.begin();
  });

  afterAll(() => rig?.dispose());

  /** The documented statements without one action. */
  function without(action: string): readonly PolicyStatement[] {
    const kept = documented.flatMap((statement) => {
      const actions = [statement.Action].flat().filter((one) => one !== action);
      return actions.length === 0 ? [] : [{ ...statement, Action: actions }];
    });
    expect(JSON.stringify(kept)).not.toContain(`"${action}"`);
    return kept;
  }

  it("are exactly what is documented", { timeout: LONG_MS }, async () => {
    expect(await rig.launch("c", TASK)).toContain(") one\n");
    expect(rig.front.refusals).toEqual([]);
    expect(await rig.keysOf("data")).toEqual(["a.txt", "b.txt", "newer.txt"]);
  });

  it.each([true, false])(
    "without one of them the job's log names it (S3 does: %s)",
    { timeout: LONG_MS },
    async (namesActions) => {
      rig.front.namesActions = namesActions;
      rig.front.base = without("s3:GetObject");
      const read = await rig.sky("exec", "c", `cat ~/data/${namesActions ? "a" : "b"}.txt`);
      expect(read.exitCode, read.text).toBe(100);
      expect(read.text).toMatch(/skypilot: ~\/data met a refusal of S3: .*s3:GetObject/u);
      rig.front.base = without("s3:PutObject");
      const write = await rig.sky("exec", "c", `echo x > ~/data/x-${namesActions}.txt`);
      expect(write.exitCode, write.text).toBe(100);
      expect(write.text).toMatch(
        /ERROR: Job \d+ failed: What was written to ~\/data is not in s3:\/\/data: .*s3:PutObject/u,
      );
      rig.front.base = documented;
      const again = await rig.sky("exec", "c", "true");
      expect(again.exitCode, again.text).toBe(0);
    },
  );

  it(
    "a bucket that may not be listed is not mounted, and the launch names what is missing",
    { timeout: LONG_MS },
    async () => {
      rig.front.namesActions = true;
      expect((await rig.sky("down", "-y", "c")).exitCode).toBe(0);
      rig.front.base = without("s3:ListBucket");
      const file = rig.pool.sandbox.write("list.yaml", TASK);
      const { text, exitCode } = await rig.sky("launch", "-y", "-c", "d", file);
      expect(exitCode, text).toBe(1);
      expect(text).toMatch(/s3:ListBucket|Failed to access existing bucket 'data'/u);
    },
  );
});

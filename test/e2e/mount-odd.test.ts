import { PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { MountRig } from "../support/s3/mount-rig.ts";
import { findRclone } from "../support/s3/rclone.ts";

const LONG_MS = 180_000;
const MANY = 10_000;
const ODD = [
  "ünï cöde/日本語.txt",
  "a b/c+d&e=f.txt",
  "per%20cent.txt",
  "quo'te \"s.txt",
  "star*[x]?.txt",
  "-dash",
  "trailing ",
  "#hash",
];
const TASK = `
resources: {infra: ssh/rack}
num_nodes: 2
file_mounts:
  ~/data: {source: s3://data}
  ~/many: {source: s3://many, config: {mount: {read_only: true}}}
  ~/part: {source: "s3://data/ünï cöde"}
run: ls ~/data | wc -l
`;

/** Changing in place, renaming over what is open, removing, whole trees by their own programs. */
const USUAL = `
echo one > over; echo old > open; exec 3<open
echo new one > new; mv new over; echo added >> over; sed -i s/one/ONE/ over
rm open; exec 3<&-; [ ! -e open ]
truncate -s 5000000 sized; printf middle | dd of=sized bs=1 seek=2500000 conv=notrunc status=none
[ "$(dd if=sized bs=1 skip=2500000 count=6 status=none)" = middle ]; [ "$(stat -c %s sized)" = 5000000 ]
mkdir -p tree/deep/er; echo f > tree/deep/er/f; echo g > tree/g; chmod 755 tree/g; touch -d 2020-01-01 tree/g
mkdir copy; cp -a tree/deep copy/
`;
/** The rest, once all of that is in the bucket: what is renamed while it is sent may stay under its old name, too. */
const AFTERWARDS = `
tar -cf - tree | (mkdir /tmp/out; tar -C /tmp/out -xf -); diff -r tree /tmp/out/tree
mv tree tree2; cat tree2/deep/er/f copy/deep/er/f; [ ! -e tree ]
mkdir gone; echo x > gone/x; ls gone; rm -r gone; [ ! -e gone ]; [ "$(find . -type f | wc -l)" = 5 ]
cmp <(head -c 1000000 /dev/zero) <(head -c 1000000 sized); df . > /dev/null; sync
`;

describeWithFleet("mounted buckets with odd content", () => {
  let rig: MountRig;

  beforeAll(async () => {
    rig = await MountRig.create([{ name: "a" }, { name: "b" }]);
    await rig.createBucket("data", Object.fromEntries(ODD.map((key) => [key, `${key}\n`])));
    await rig.createBucket("many");
    const keys = Array.from({ length: MANY }, (_, index) => `d/${String(index).padStart(5, "0")}.txt`);
    const entries = keys.entries();
    const put = async (): Promise<void> => {
      for (const [, Key] of entries) await rig.s3.send(new PutObjectCommand({ Bucket: "many", Key, Body: "x" }));
    };
    await Promise.all(Array.from({ length: 16 }, put));
    await rig.begin();
    await rig.launch("c", TASK);
  }, LONG_MS);

  afterAll(() => rig?.dispose());

  async function run(script: string, nodes = 1): Promise<string> {
    const { text, exitCode } = await rig.sky("exec", "c", "--num-nodes", String(nodes), script);
    expect(exitCode, text).toBe(0);
    return text;
  }

  it("keys of every kind are files of that name, and the other way round", { timeout: LONG_MS }, async () => {
    const text = await run(
      'cd ~/data && find . -type f | sort | while IFS= read -r f; do cat "$f" || exit 1; done; ls ~/part',
    );
    for (const key of ODD) expect(text).toContain(`) ${key.trimEnd()}\n`);
    expect(text).toContain(") 日本語.txt\n");
    await run(`cd ~/data && mkdir -p 'neu & alt/ß' && echo 1 > "neu & alt/ß/it's {new}.txt" && mv ./-dash 'renamed 1'`);
    expect(await rig.textOf("data", "neu & alt/ß/it's {new}.txt")).toBe("1\n");
    expect(await rig.textOf("data", "renamed 1")).toBe("-dash\n");
    expect(await rig.keysOf("data")).not.toContain("-dash");
  });

  it("a file may have several writers on one node, as of a parent and its children", { timeout: LONG_MS }, async () => {
    await run(
      "{ /bin/echo one; /bin/echo two; } > ~/data/log; (echo three; /bin/echo four) >> ~/data/log; cat ~/data/log",
    );
    expect(await rig.textOf("data", "log")).toBe("one\ntwo\nthree\nfour\n");
  });

  const old = findRclone() === undefined ? ": the machine's rclone is old, SKY_RCLONE names none" : "";
  it.skipIf(old !== "")(`programs find what they know of files${old}`, { timeout: LONG_MS }, async () => {
    const folder = "~/data/usual-$SKYPILOT_NODE_RANK";
    for (const script of [USUAL, AFTERWARDS]) {
      await run(`set -euo pipefail; mkdir -p ${folder}; cd ${folder}\n${script}`, 2);
    }
    for (const rank of [0, 1]) {
      const keys = (await rig.keysOf("data")).filter((key) => key.startsWith(`usual-${rank}/`));
      expect(keys).toEqual(
        ["copy/deep/er/f", "over", "sized", "tree2/deep/er/f", "tree2/g"].map((name) => `usual-${rank}/${name}`),
      );
      expect(await rig.textOf("data", `usual-${rank}/over`)).toBe("new ONE\nadded\n");
    }
  });

  it("10,000 objects are listed", { timeout: LONG_MS }, async () => {
    const text = await run("ls ~/many/d | wc -l; cat ~/many/d/09999.txt");
    expect(text).toContain(`) ${MANY}\n`);
  });

  it(
    "two nodes write at once: their own files all arrive, of the same file one is there whole",
    { timeout: LONG_MS },
    async () => {
      await run(
        "for i in $(seq 50); do echo $SKYPILOT_NODE_RANK-$i > ~/data/by-$SKYPILOT_NODE_RANK-$i; done; head -c 3000000 /dev/zero | tr '\\0' $SKYPILOT_NODE_RANK > ~/data/same",
        2,
      );
      expect((await rig.keysOf("data")).filter((key) => key.startsWith("by-"))).toHaveLength(100);
      const same = (await rig.textOf("data", "same")) ?? "";
      expect([0, 1].map((rank) => same === String(rank).repeat(3_000_000))).toContain(true);
    },
  );
});

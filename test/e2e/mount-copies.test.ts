import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { findMoto } from "../support/aws/moto.ts";
import { BucketRig, type Ran } from "../support/s3/bucket-rig.ts";
import { expectRefusal } from "./support/refusal.ts";

const LONG_MS = 60_000;
const CONTENT = { "a.txt": "one\n", "models/m": "model\n" };
const ENDS = "A mount stays until the cluster is taken down: sky down c";

describe.skipIf(findMoto() === undefined)("what launches copy does not go through the mounts of earlier ones", () => {
  let rig: BucketRig;

  beforeAll(async () => {
    rig = await BucketRig.create();
    await rig.createBucket("precious", CONTENT);
    await rig.createBucket("other", { "o.txt": "other\n", "data/late": "late\n" });
    rig.sandbox.write("data/new.txt", "new\n");
  });

  beforeEach(async () => {
    await rig.sky("down", "-y", "-a");
  });

  afterAll(async () => {
    await rig?.sky("down", "-y", "-a");
    await rig?.dispose();
  });

  async function launch(yaml: string): Promise<Ran> {
    const ran = await rig.launch("c", yaml);
    expect(ran.exitCode, ran.text).toBe(0);
    return ran;
  }

  async function expectUntouched(): Promise<void> {
    expect(await rig.keysOf("precious")).toEqual(Object.keys(CONTENT));
  }

  it("to the mount's place and below it, by whatever name and from wherever", { timeout: LONG_MS }, async () => {
    await launch("file_mounts: {~/m: {source: s3://precious/models}, ~/beside: ./data}\nrun: ls ~/m\n");
    const { home } = rig.sandbox;
    const copies = [
      ["~/m/sub2: ./data", "~/m/sub2 lies inside of ~/m, where s3://precious/models is mounted"],
      ["~/m: ./data", "~/m is a place where s3://precious/models is mounted since an earlier launch"],
      ["~/x/../m/./sub: ./data", "~/x/../m/./sub lies inside of ~/m,"],
      ["~/m/o: s3://other", "~/m/o lies inside of ~/m,"],
      ["~/m/o.txt: s3://other/o.txt", "~/m/o.txt lies inside of ~/m,"],
      [`~/m/p: "http://127.0.0.1:9/page"`, "~/m/p lies inside of ~/m,"],
      ["~/m: {source: s3://precious/models, mode: COPY}", "~/m is a place where s3://precious/models is mounted"],
    ] as const;
    for (const [copy, message] of copies) {
      const refused = await rig.launch("c", `file_mounts: {${copy}}\nrun: echo ran\n`);
      expectRefusal(refused, { exitCode: 1, message, hint: ENDS });
      expect(refused.text).not.toContain("Sync");
    }
    // The node's HOME by its own path.
    const where = (await rig.sky("exec", "c", "echo at $HOME")).text;
    const nodeHome = /\) at (\S+)$/mu.exec(where)?.[1] ?? "";
    expect(nodeHome.startsWith(home)).toBe(true);
    expectRefusal(await rig.launch("c", `file_mounts: {${nodeHome}/m/in: ./data}\n`), {
      exitCode: 1,
      message: `${nodeHome}/m/in lies inside of ~/m,`,
    });
    await expectUntouched();
    // What lies beside it is copied, and the mount is still there.
    const beside = (await launch("file_mounts: {~/mm: ./data, ~/beside/m: s3://other}\nrun: ls ~/mm; ls ~/m\n")).text;
    expect(beside).toMatch(/\) new\.txt\n.*\) m\n/u);
    // Another mount may take its place.
    await launch("file_mounts: {~/m: {source: s3://precious}}\n");
    await rig.sky("down", "-y", "c");
    // Once it is gone, its place is free.
    expect((await launch("file_mounts: {~/m: ./data}\nrun: ls ~/m\n")).text).toContain(") new.txt\n");
    await expectUntouched();
  });

  it("by a workdir or a directory in which the mount is", { timeout: LONG_MS }, async () => {
    const { sandbox } = rig;
    mkdirSync(join(sandbox.work, "wd/data"), { recursive: true });
    sandbox.write("wd/p.txt", "p\n");
    const mount = "~/sky_workdir/data: {source: s3://precious, config: {mount: {read_only: true}}}";
    const task = `workdir: ./wd\nfile_mounts: {${mount}}\nrun: ls . data\n`;
    await launch(task);
    // The empty directory is there, and a read-only mount takes no other times.
    expect((await launch(task)).text).toContain(") a.txt\n");
    sandbox.write("wd/data/new.txt", "new\n");
    const message =
      "~/sky_workdir/data/new.txt would be copied into ~/sky_workdir/data, where s3://precious is mounted since an earlier launch";
    const refusal = { exitCode: 1, message, hint: `Leave it out (.skyignore), or put it into the bucket. ${ENDS}` };
    expectRefusal(await rig.launch("c", task), refusal);
    expectRefusal(await rig.launch("c", "workdir: ./wd\nrun: ls\n"), refusal);
    expectRefusal(await rig.sky("exec", "c", "--workdir", join(sandbox.work, "wd"), "ls"), refusal);
    sandbox.write("wd/.skyignore", "data\n");
    expect((await launch(task)).text).toContain(") a.txt\n");

    // Beside the workdir, and as a bucket's content.
    await launch("file_mounts: {~/set/data: {source: s3://precious}}\n");
    for (const copy of ["./wd2", "s3://other"]) {
      sandbox.write("wd2/data/late", "late\n");
      const refused = await rig.launch("c", `file_mounts: {~/set: ${copy}}\n`);
      expectRefusal(refused, {
        exitCode: 1,
        message: "~/set/data/late would be copied into ~/set/data, where s3://precious",
      });
    }
    await expectUntouched();
  });

  it("by a git workdir, nor is anything of it removed", { timeout: LONG_MS }, async () => {
    const git = (name: string, ...args: readonly string[]): void => {
      const as = ["-c", "user.name=me", "-c", "user.email=me@example.com"];
      execFileSync("git", ["-C", join(rig.sandbox.work, name), ...as, ...args], { stdio: "ignore" });
    };
    const commit = (name: string, file: string): void => {
      rig.sandbox.write(`${name}/${file}`, `${name}\n`);
      git(name, "add", "-A");
      git(name, "commit", "-m", file);
    };
    for (const name of ["first repo", "second"]) {
      mkdirSync(join(rig.sandbox.work, name));
      git(name, "init");
      commit(name, "code.txt");
    }
    const task = (name: string): string =>
      `workdir: {url: "file://${join(rig.sandbox.work, name)}"}\nfile_mounts: {~/sky_workdir/my data: {source: s3://precious}}\nrun: cat code.txt "my data/a.txt"\n`;
    await launch(task("first repo"));
    expect((await launch(task("first repo"))).text).toContain(") one\n");
    expectRefusal(await rig.launch("c", task("second")), {
      exitCode: 1,
      message:
        /second cannot be brought to ~\/sky_workdir\. It would take the place of what is in ~\/sky_workdir, where something is mounted at my data\./u,
      hint: `Mount it outside of the workdir. ${ENDS}`,
    });
    await expectUntouched();
    commit("first repo", "my data/tracked.txt");
    expectRefusal(await rig.launch("c", task("first repo")), {
      exitCode: 1,
      message: "The repository has files at my data, where something is mounted.",
      hint: ENDS,
    });
    await expectUntouched();
    expect((await rig.sky("exec", "c", "cat code.txt 'my data/a.txt'")).text).toMatch(/\) first repo\n.*\) one\n/u);
  });

  it("also when the cluster was stopped meanwhile", { timeout: LONG_MS }, async () => {
    await launch("file_mounts: {/tmp/copies-of-c: {source: s3://precious, mode: MOUNT_CACHED}}\n");
    await rig.sky("stop", "-y", "c");
    expectRefusal(await rig.launch("c", "file_mounts: {/tmp/copies-of-c/in: ./data}\n"), {
      exitCode: 1,
      message: "/tmp/copies-of-c/in lies inside of /tmp/copies-of-c, where s3://precious is mounted",
      hint: ENDS,
    });
    await expectUntouched();
  });

  it("a mount that failed is not in the way", { timeout: LONG_MS }, async () => {
    await launch("file_mounts: {~/m: ./data}\n");
    const mounted = await rig.launch("c", "file_mounts: {~/m: {source: s3://precious}}\n");
    expectRefusal(mounted, { exitCode: 1, message: "Mount path ~/m is non-empty." });
    await launch("file_mounts: {~/m/more: ./data}\nrun: ls ~/m\n");
    await expectUntouched();
  });
});

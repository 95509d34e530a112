import { existsSync, lstatSync, mkdirSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DeleteBucketCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findMoto } from "../support/aws/moto.ts";
import { BucketRig } from "../support/s3/bucket-rig.ts";
import { expectRefusal } from "./support/refusal.ts";

/** What cannot be right, whatever there is in S3: the value of `~/x` in `file_mounts`, and the words of SkyPilot 0.14.1. */
const REFUSED = [
  [
    "{name: s3://b, source: ./src}",
    "Prefix detected: `name` cannot start with s3://. If you are trying to use an existing bucket",
  ],
  ["{name: abc, source: s3://extern}", "Storage name should not be specified if the source is a remote URI."],
  ["{source: ./src}", "Storage name must be specified if the source is local."],
  ["{name: '', source: ./src}", "Storage name must be specified if the source is local."],
  ["{mode: MOUNT}", "Storage source or storage name must be specified."],
  ["{name: my-b, source: ./nope}", "Local source path does not exist: ./nope"],
  ["{name: my-b, source: [./src/a.txt, s3://extern]}", "Local source path does not exist: s3://extern"],
  ["{name: my-b, source: ./src/}", "Storage source paths cannot end with a slash (try "],
  ["{name: my-b, source: [./src/sub/]}", "Found source=./src/sub/"],
  [
    "{name: my-b, source: ./src/a.txt}",
    "To upload a single file, specify it in a list by writing source: [./src/a.txt].",
  ],
  ["{name: my-b, source: [./src/a.txt, ./src/sub/a.txt]}", "with the same name in source. Conflicts found for: a.txt"],
  ["{name: my-b, source: []}", "Invalid storage YAML: [] should be non-empty. Check problematic field(s): $.source"],
  [
    "{name: my-b, source: ftp://h/x}",
    "Supported paths: local, s3://, gs://, https://, r2://, cos://, oci://, nebius://, cw://, vastdata://, hf://. Got: ftp://h/x",
  ],
  [
    "{name: my-b, source: ./src, type: DATASET_RO}",
    "type can only be specified when mode is MOUNT_CACHED. Got mode=MOUNT.",
  ],
  [
    "{name: my-b, source: ./src, mode: COPY, config: {mount: {read_only: true}}}",
    "config.mount can only be specified when mode is MOUNT. Got mode=COPY.",
  ],
  [
    "{name: my-b, config: {mount_cached: {transfers: 2}}}",
    "config.mount_cached can only be specified when mode is MOUNT_CACHED. Got mode=MOUNT.",
  ],
  [
    "{name: my-b, mode: MOUNT_CACHED, config: {mount_cached: {transfers: 0}}}",
    "0 is less than the minimum of 1. Check problematic field(s): $.config.mount_cached.transfers",
  ],
  [
    "{name: my-b, mode: MOUNT_CACHED, config: {mount_cached: {buffer_size: 12X}}}",
    "'12X' does not match '^[0-9]+(b|k|m|g|t|p|B|K|M|G|T|P)?$'.",
  ],
  ["{name: my-b, mode: MOUNT_CACHED, config: {mount_cached: {vfs_write_back: soon}}}", "'soon' does not match"],
  [
    "{name: my-b, mode: BAD}",
    "Invalid storage YAML: 'BAD' is not one of ['MOUNT', 'COPY', 'MOUNT_CACHED']. Check problematic field(s): $.mode",
  ],
  [
    "{name: my-b, mode: MOUNT_CACHED, type: BAD}",
    "'BAD' is not one of ['MODEL_CHECKPOINT_RO', 'MODEL_CHECKPOINT_RW', 'DATASET_RO', 'DATASET_RW'].",
  ],
  [
    "{name: my-b, store: BAD}",
    "'BAD' is not one of ['S3', 'GCS', 'AZURE', 'R2', 'IBM', 'OCI', 'NEBIUS', 'COREWEAVE', 'VASTDATA', 'HF', 'VOLUME'].",
  ],
  [
    "{name: my-b, persistent: 'yes'}",
    "Invalid storage YAML: 'yes' is not of type 'boolean'. Check problematic field(s): $.persistent",
  ],
  ["{name: my-b, bogus: 1}", "Invalid storage YAML: Found unsupported field 'bogus'."],
  ["{name: ab}", "Invalid store name: name ab must be between 3 (min) and 63 (max) characters long."],
  [
    "{name: MyBucket}",
    "Invalid store name: name MyBucket can consist only of lowercase letters, numbers, dots (.), and hyphens (-). It must begin and end with a letter or number.",
  ],
  ["{name: a..b}", "Invalid store name: name a..b must not contain two adjacent periods."],
  [
    "{name: 192.168.5.4}",
    "Invalid store name: name 192.168.5.4 must not be formatted as an IP address (for example, 192.168.5.4).",
  ],
  ["{name: xn--abc}", 'Invalid store name: name xn--abc must not start with the prefix "xn--".'],
  ["{name: abc-s3alias}", 'Invalid store name: name abc-s3alias must not end with the suffix "-s3alias".'],
  ["{name: abc--ol-s3}", 'Invalid store name: name abc--ol-s3 must not end with the suffix "--ol-s3".'],
  ["5", "Unable to parse file_mount ~/x:5"],
  ["./nope", "File mount source './nope' does not exist locally. To fix: check if it exists, and correct the path."],
  ["./src/", "Mount paths cannot end with a slash Found: ./src/ in file_mounts.~/x: ./src/"],
  ["s3://extern/", "Mount paths cannot end with a slash Found: s3://extern/ in file_mounts.~/x: s3://extern/"],
  ["ftp://host/x", "File mount source 'ftp://host/x' cannot be used: ftp:// is not supported."],
  ["file:///etc/none", "File mount source 'file:///etc/none' does not exist locally."],
  ["'https://acct.blob.core.windows.net/cont/dir'", "Buckets of 'azure' are not available in this version."],
  ["{source: 'https://acct.blob.core.windows.net/cont'}", "Buckets of 'azure' are not available in this version."],
  [
    "{source: 'https://acct.blob.core.windows.net/cont', mode: COPY}",
    "Buckets of 'azure' are not available in this version.",
  ],
  ["{source: 'https://example.com/x'}", "https://example.com/x is a file of the web, which cannot be mounted."],
] as const;

/** The same of whole tasks. */
const REFUSED_TASKS = [
  ["file_mounts: {s3://b: ./src}", "File mount destination paths cannot be cloud storage"],
  ["file_mounts: {s3://b: {name: my-b}}", "Storage mount destination path cannot be cloud storage"],
  ["file_mounts: {~/x/: ./src}", "Mount paths cannot end with a slash Found: ~/x/ in file_mounts.~/x/: ./src"],
  ["file_mounts: {'': {name: my-b}}", "Storage mount path cannot be empty."],
  ["file_mounts: {/: {name: my-b}}", "A storage cannot be mounted at / itself."],
  ["file_mounts: {~/x: ./src, ~/x: s3://extern}", "Duplicate key '~/x' in YAML"],
  [
    "file_mounts: [a, b]",
    "Invalid task YAML: ['a', 'b'] is not of type 'dict'. Check problematic field(s): $.file_mounts",
  ],
  [
    "workdir: ./src\nfile_mounts: {~/sky_workdir: s3://extern}",
    "Cannot use '~/sky_workdir' as a destination path of a file mount",
  ],
  [
    "workdir: ./src\nfile_mounts: {~/sky_workdir: {name: my-b}}",
    "Cannot use '~/sky_workdir' as a destination path of a file mount",
  ],
  ["file_mounts: {~/m: {source: s3://extern}, ~/m/in: ./src}", "~/m/in lies inside of ~/m, where a bucket is mounted"],
  [
    "file_mounts: {~/sky_workdir/m: {source: s3://extern}, m/in: s3://extern/x}",
    "m/in lies inside of ~/sky_workdir/m, where a bucket is mounted",
  ],
] as const;

describe.skipIf(findMoto() === undefined)("every form of file_mounts", () => {
  let rig: BucketRig;

  beforeAll(async () => {
    rig = await BucketRig.create();
    rig.sandbox.write("src/a.txt", "one\n");
    rig.sandbox.write("src/sub/a.txt", "two\n");
    rig.sandbox.write("more/b.txt", "more\n");
    await rig.createBucket("extern", { "file.txt": "file\n", "x/y": "inner\n", "x-ray": "beside\n" });
  });

  afterAll(async () => {
    await rig?.sky("down", "-y", "-a");
    await rig?.dispose();
  });

  it.each([...REFUSED.map(([form, message]) => [`file_mounts: {~/x: ${form}}`, message] as const), ...REFUSED_TASKS])(
    "%s is refused before anything is launched",
    async (task, message) => {
      expectRefusal(await rig.launch("never", task), { exitCode: 1, message });
      expect(existsSync(join(rig.sandbox.home, ".sky/local"))).toBe(false);
    },
  );

  it("what S3 has to be asked of is refused before anything is launched, too", async () => {
    for (const [form, message, hint] of [
      ["s3://nope-nope", "Attempted to use a non-existent bucket as a source: s3://nope-nope.", "aws s3 ls"],
      [
        "{source: s3://nope-nope/x}",
        "Attempted to use a non-existent bucket as a source: s3://nope-nope/x.",
        "aws s3 ls",
      ],
      [
        "{name: unknown-b, mode: COPY}",
        "New storage object: source must be specified when using COPY mode.",
        "sky storage ls",
      ],
      [
        "{name: extern}",
        "Attempted to mount a non-sky managed bucket 'extern' without specifying the storage source.",
        "",
      ],
      [
        "{source: s3://extern/file.txt}",
        "MOUNT mode does not support mounting specific files from cloud storage.",
        "is one object",
      ],
      ["{source: s3://extern/file.txt, mode: MOUNT_CACHED}", "MOUNT mode does not support mounting specific files", ""],
      ["{name: my-b, source: ./src, store: gcs}", "Buckets of 'gcs' are not available in this version.", "s3://"],
      ["gs://bucket", "Buckets of 'gs' are not available in this version.", "s3://"],
    ] as const) {
      expectRefusal(await rig.launch("never", `file_mounts: {~/x: ${form}}`), { exitCode: 1, message, hint });
    }
    expect(existsSync(join(rig.sandbox.home, ".sky/local"))).toBe(false);
    expect(await rig.buckets()).toEqual(["extern"]);
  });

  it("a bucket that SkyPilot made is known by its name alone", async () => {
    expect(
      (await rig.launch("c", "file_mounts: {~/x: {name: known, source: ./src, mode: copy, store: S3}}")).exitCode,
    ).toBe(0);
    const copied = await rig.launch("c", "file_mounts: {~/again: {name: known, mode: COPY}}\nrun: cat ~/again/a.txt");
    expect(copied.text).toContain(") one\n");
    const filled = await rig.launch("c", "file_mounts: {~/x: {name: known, source: ./more, mode: COPY}}\nrun: ls ~/x");
    expect(filled.text.match(/\) (?:a\.txt|b\.txt|sub)$/gmu)).toHaveLength(3);
    expectRefusal(await rig.launch("c", "file_mounts: {~/x: {name: known, store: gcs}}"), {
      exitCode: 1,
      message: "Buckets of 'gcs' are not available in this version.",
    });
  });

  it("a bucket that SkyPilot did not make is filled, and stays", async () => {
    const before = await rig.keysOf("extern");
    const { text, exitCode } = await rig.launch(
      "foreign",
      "file_mounts: {~/x: {name: extern, source: ./more, mode: COPY, persistent: false}}\nrun: cat ~/x/b.txt ~/x/file.txt",
    );
    expect(exitCode, text).toBe(0);
    expect(text).toContain("  Bucket 'extern' was not made by SkyPilot: it is filled, and never deleted.\n");
    expect(text.match(/\) (?:more|file)$/gmu)).toHaveLength(2);
    expect((await rig.sky("storage", "ls")).text).not.toContain("extern");
    await rig.sky("down", "-y", "foreign");
    expect(await rig.keysOf("extern")).toEqual(["b.txt", ...before]);
  });

  it("lands where the task says: below ~, in the working directory, in /tmp, elsewhere by a link", async () => {
    const outside = `/sky-forms-${process.pid}`;
    const task = `
workdir: ./more
file_mounts:
  ~/home: s3://extern/x
  in/workdir: s3://extern/x
  ~/sky_workdir/beside: ./src
  ${rig.sandbox.root}/tmp/abs: s3://extern/file.txt
  ${outside}/deep/file: s3://extern/file.txt
  ~/slash/: {source: s3://extern/x, mode: COPY}
  ~/over: s3://extern
  ~/over/x: ./src
run: |
  cat ~/home/y ~/slash/y ~/over/x/a.txt ~/over/file.txt; ls ~/home; cd ~/sky_workdir; cat b.txt in/workdir/y beside/a.txt
  cat ${rig.sandbox.root}/tmp/abs ${outside}/deep/file; ls ~/over/x
`;
    try {
      const { text, exitCode } = await rig.launch("dests", task);
      expect(exitCode, text).toBe(0);
      const lines = [...text.matchAll(/, pid=\d+\) (.*)$/gmu)].map(([, line]) => line);
      expect(lines).toEqual("inner inner one file y more inner one file file a.txt sub y".split(" "));
      expect(lstatSync(`${outside}/deep/file`).isSymbolicLink()).toBe(true);
      mkdirSync(`${outside}/full`);
      expectRefusal(await rig.launch("dests", `file_mounts: {${outside}/full: s3://extern}`), {
        exitCode: 1,
        message: `!!! Failed mounting because path exists (${outside}/full)`,
        hint: "Remove it on the node, or mount to another path.",
      });
      await rig.sky("down", "-y", "dests");
      expect(existsSync(`${outside}/deep/file`)).toBe(false);
    } finally {
      rmSync(outside, { recursive: true, force: true });
    }
  });

  it("a link outside of HOME is its cluster's, until that goes", async () => {
    const outside = `/sky-forms-links-${process.pid}`;
    try {
      const pair = await rig.launch(
        "pair",
        `num_nodes: 2\nfile_mounts: {${outside}/in/data: ./src}\nrun: ls ${outside}/in/data`,
      );
      expect(pair.exitCode, pair.text).toBe(0);
      expect(pair.text.match(/\) a\.txt$/gmu)).toHaveLength(2);
      const target = readlinkSync(`${outside}/in/data`);
      for (const source of ["s3://extern", "{source: s3://extern}", "./more"]) {
        expectRefusal(await rig.launch("rival", `file_mounts: {${outside}/in/data: ${source}}`), {
          exitCode: 1,
          message: `!!! Failed mounting because path exists (${outside}/in/data): it is a link to ${target}`,
          hint: "Another cluster on this machine has it: mount to another path, or end that cluster first (sky down).",
        });
      }
      expect(readlinkSync(`${outside}/in/data`)).toBe(target);
      await rig.sky("down", "-y", "pair");
      expect(existsSync(outside)).toBe(false);
      expect((await rig.launch("rival", `file_mounts: {${outside}/in/data: ./more}`)).exitCode).toBe(0);
      await rig.sky("down", "-y", "rival");
      expect(existsSync(outside)).toBe(false);
    } finally {
      rmSync(outside, { recursive: true, force: true });
    }
  });

  it("mounts may lie in copies and in one another, in any order of the task", async () => {
    const task = `
file_mounts:
  ~/outer/inner: {source: s3://extern/x}
  ~/outer: {source: s3://extern}
  ~/copy/mount: {source: s3://extern/x, config: {mount: {read_only: true}}}
  ~/copy: s3://extern/x
run: cat ~/outer/inner/y ~/outer/file.txt ~/copy/y ~/copy/mount/y
`;
    const before = await rig.keysOf("extern");
    const { text, exitCode } = await rig.launch("nested", task);
    expect(exitCode, text).toBe(0);
    expect(text.match(/\) (?:inner|file)$/gmu)).toHaveLength(4);
    expect((await rig.sky("down", "-y", "nested")).exitCode).toBe(0);
    expect(await rig.keysOf("extern")).toEqual(before);
  });

  it("files of the node that are in the way stay, and are told", async () => {
    expect(
      (await rig.launch("way", "file_mounts: {~/file: s3://extern/file.txt, ~/dir: s3://extern/x}")).exitCode,
    ).toBe(0);
    for (const [mount, message, hint] of [
      ["~/file: s3://extern", "/file has to be a directory, but there is a file on the node.", "copy to another path"],
      ["~/file/in: ./src", "/file/in has to be a directory, but there is a file on the node.", "copy to another path"],
      ["~/file: {source: s3://extern}", "~/file, or what it lies in, is a file on the node.", "Mount to another path."],
      ["~/dir: {source: s3://extern}", "Mount path ~/dir is non-empty.", ""],
      [
        "~/dir: s3://extern/file.txt",
        "/dir is a directory on the node, but a file in the upload.",
        "Remove it on the node",
      ],
    ] as const) {
      expectRefusal(await rig.launch("way", `file_mounts: {${mount}}`), { exitCode: 1, message, hint });
    }
    expect((await rig.sky("exec", "way", "cat ~/file ~/dir/y")).text).toMatch(/\) file\n.*\) inner$/mu);
  });

  it("a bucket that vanished while its cluster was stopped is told by `sky start`", async () => {
    await rig.createBucket("vanishes");
    expect(
      (await rig.launch("lost", "file_mounts: {~/v: {source: s3://vanishes}, ~/e: {source: s3://extern}}")).exitCode,
    ).toBe(0);
    await rig.sky("stop", "-y", "lost");
    await rig.s3.send(new DeleteBucketCommand({ Bucket: "vanishes" }));
    expectRefusal(await rig.sky("start", "-y", "lost"), {
      exitCode: 1,
      message:
        "The bucket, 'vanishes', could not be mounted on cluster 'lost'. Please verify that the bucket exists. " +
        "The cluster started successfully without mounting the bucket.",
      hint: "~/v is empty there.",
    });
    expect((await rig.sky("exec", "lost", "cat ~/e/file.txt")).text).toContain(") file\n");
  });

  it("`sky exec` copies and mounts nothing", async () => {
    expect((await rig.launch("only", "run: echo ready")).exitCode).toBe(0);
    const file = rig.sandbox.write(
      "exec.yaml",
      "file_mounts: {~/exec: s3://extern, ~/mnt: {source: s3://extern}}\nrun: ls -d ~/exec ~/mnt",
    );
    const { text, exitCode } = await rig.sky("exec", "only", file);
    expect(exitCode).toBe(100);
    expect(text).not.toContain("Copying");
    expect(text).toContain("No such file or directory");
  });
});

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { diskTierOf } from "../disk-tiers.ts";
import { rootDisk } from "./disk.ts";
import { architectureOf, familyFor, familyOfTag, sourceOf } from "./image-families.ts";
import { prefetchScript } from "./prefetch.ts";
import { forgetScript, renderUserData } from "./user-data.ts";

describe("images", () => {
  it.each([
    [[], "ubuntu-22.04"],
    [["A100"], "gpu"],
    [["L4"], "gpu"],
    [["T4"], "gpu"],
    [["V100"], "gpu-legacy"],
    [["V100-32GB"], "gpu-legacy"],
    [["Trainium2"], "neuron"],
    [["Inferentia2"], "neuron"],
    [["Inferentia"], "neuron-legacy"],
  ])("for %j are %s", (accelerators, family) => {
    expect(familyFor(accelerators)).toBe(family);
  });

  it.each([
    ["skypilot:custom-cpu-ubuntu", "ubuntu-22.04"],
    ["skypilot:custom-gpu-ubuntu-cuda13", "gpu"],
    ["skypilot:custom-gpu-ubuntu", "gpu-legacy"],
    ["skypilot:gpu-ubuntu-2204", "gpu"],
    ["skypilot:neuron-ubuntu-2204", "neuron"],
    ["skypilot:k80-ubuntu-2004", "gpu-legacy"],
    ["skypilot:windows", undefined],
  ])("of the tag %s are %s", (tag, family) => {
    expect(familyOfTag(tag)).toBe(family);
  });

  it.each([
    ["m7g.large", "arm64"],
    ["c6gn.xlarge", "arm64"],
    ["g5g.xlarge", "arm64"],
    ["a1.large", "arm64"],
    ["im4gn.large", "arm64"],
    ["g4dn.xlarge", "x86_64"],
    ["g6.xlarge", "x86_64"],
    ["p4d.24xlarge", "x86_64"],
    ["trn1.2xlarge", "x86_64"],
    ["u-6tb1.metal", "x86_64"],
  ])("of %s are for %s", (instanceType, architecture) => {
    expect(architectureOf({ instanceType })).toBe(architecture);
  });

  it("trusts the catalog's architecture more than the name", () => {
    expect(architectureOf({ instanceType: "m6i.large", arch: "arm64" })).toBe("arm64");
  });

  it("are looked for at their publisher, by partition", () => {
    expect(sourceOf("ubuntu-22.04", "arm64")).toMatchObject({ owners: { aws: "099720109477" } });
    expect(sourceOf("neuron", "arm64")).toBeUndefined();
  });
});

describe("disks", () => {
  const image = { id: "ami-1", name: "", rootDevice: "/dev/xvda", minDiskGib: 50, architecture: "x86_64" };

  it("have the tiers of 0.14.1", () => {
    const ebs = (tier: string | undefined) =>
      rootDisk({ sizeGib: 256, tier: diskTierOf(tier), isEncrypted: false }, image).Ebs;
    expect(ebs(undefined)).toMatchObject({ VolumeType: "gp3", Iops: 3500, Throughput: 218, VolumeSize: 256 });
    expect(ebs("low")).toEqual({ VolumeType: "standard", VolumeSize: 256, DeleteOnTermination: true });
    expect(ebs("high")).toMatchObject({ VolumeType: "gp3", Iops: 7000, Throughput: 437 });
    expect(ebs("ultra")).toMatchObject({ VolumeType: "io2", Iops: 20_000 });
    expect(ebs("best")).toMatchObject({ VolumeType: "io2", Iops: 20_000 });
  });

  it("hold the image", () => {
    expect(() => rootDisk({ sizeGib: 40, tier: "medium", isEncrypted: false }, image)).toThrow(
      "disk_size 40 is smaller than the image ami-1, which needs 50 GiB.",
    );
  });
});

describe("user data", () => {
  const wish = {
    sshUser: "ubuntu",
    home: "/home/ubuntu",
    nameOnCloud: "new-0a1b2c3d",
    publicKeys: ["ssh-ed25519 AAAA me"],
    runCommands: ["echo 'a: b'", ["ls", "-l"]],
  };

  it("is cloud-init's form, and the same for the same wish", () => {
    const text = renderUserData(wish);
    const [first = "", ...rest] = text.split("\n");
    expect(first).toBe("#cloud-config");
    const document = JSON.parse(rest.join("\n")) as Readonly<Record<string, unknown>>;
    expect(document["users"]).toEqual([
      {
        name: "ubuntu",
        shell: "/bin/bash",
        sudo: "ALL=(ALL) NOPASSWD:ALL",
        ssh_authorized_keys: ["ssh-ed25519 AAAA me"],
      },
    ]);
    expect(document["runcmd"]).toEqual(["echo 'a: b'", ["ls", "-l"]]);
    expect(renderUserData(wish)).toBe(text);
  });

  it("makes a disk forget the clusters that it was of, and nothing else", () => {
    const home = mkdtempSync(join(tmpdir(), "user-data-"));
    try {
      const keys = join(home, ".ssh/authorized_keys");
      const run = (): void => void execFileSync("sh", ["-c", forgetScript({ ...wish, home })]);
      run();
      mkdirSync(join(home, ".ssh"));
      const own = "ssh-ed25519 AAAA me@old-0a1b2c3d\nssh-ed25519 BBBB x-old-0a1b2c3d\nssh-ed25519 CCCC new-0a1b2c3d\n";
      writeFileSync(keys, `ssh-ed25519 DDDD old-0a1b2c3d\n${own}ssh-ed25519 EEEE old-0a1b2c3d\n`, { mode: 0o600 });
      mkdirSync(join(home, ".sky/clusters/old-0a1b2c3d/node0"), { recursive: true });
      for (const name of ["clusters/new-0a1b2c3d", "clusters/.*", "agent"]) mkdirSync(join(home, ".sky", name));
      run();
      expect(readFileSync(keys, "utf8")).toBe(own);
      expect(statSync(keys).mode & 0o777).toBe(0o600);
      expect(readdirSync(join(home, ".sky/clusters"))).toEqual([".*", "new-0a1b2c3d"]);
      expect(readdirSync(join(home, ".sky"))).toContain("agent");
    } finally {
      rmSync(home, { recursive: true });
    }
  });

  it("stays far below the 16 KiB that EC2 takes", () => {
    const prefetch = prefetchScript("/home/ubuntu/.sky/agent", "https://registry.npmjs.org/");
    expect(renderUserData({ ...wish, prefetch }).length).toBeLessThan(10_000);
  });
});

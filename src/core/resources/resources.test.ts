import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nodeOf } from "../../shared/yaml-node.ts";
import { parseYaml } from "../../shared/yaml.ts";
import { lessDemandingThan } from "./compare.ts";
import { choiceToValue, resourcesToValue } from "./dump.ts";
import { formatResources } from "./format.ts";
import { formatInfra, parseInfra } from "./infra.ts";
import { parseResources } from "./parse.ts";
import { canonicalPorts, coversPorts } from "./ports.ts";
import type { CatalogFacts, Resources } from "./resources.ts";

function parse(yaml: string, facts?: CatalogFacts): readonly Resources[] {
  return parseResources(parseYaml(yaml)?.root, { facts }).choice.candidates;
}

function one(yaml: string): Resources {
  const [first] = parse(yaml);
  if (first === undefined) throw new Error("no candidate");
  return first;
}

const facts: CatalogFacts = {
  canonicalAccelerator: (name) => ({ a100: "A100", "a100-80gb": "A100-80GB" })[name.toLowerCase()],
  instanceType: (name) => (name === "m6i.large" ? { vcpus: 2, memoryGib: 8 } : undefined),
  regions: (cloud) => (cloud === "aws" ? ["us-east-1", "us-east-2", "us-west-2", "eu-west-1"] : []),
  zones: (cloud) => (cloud === "aws" ? ["us-east-1a", "us-east-1b"] : []),
  acceleratorsWithMemory: (gib, { atLeast, manufacturer }) =>
    manufacturer === "amd" ? [] : atLeast ? ["A100-80GB", "H100"] : gib === 80 ? ["A100-80GB"] : [],
};

describe("accelerators with a catalog", () => {
  it("take the catalog's spelling", () => {
    expect(parse("{accelerators: a100:4}", facts)[0]?.accelerators).toEqual({ name: "A100", count: 4 });
    expect(parse("{accelerators: unknown}", facts)[0]?.accelerators?.name).toBe("unknown");
  });

  it("by memory size are every device that fits, without warnings for missing ones", () => {
    const found = parse("{accelerators: '80GB+:2'}", facts);
    expect(found.map((item) => item.accelerators)).toEqual([
      { name: "A100-80GB", count: 2 },
      { name: "H100", count: 2 },
    ]);
    expect(found.every((item) => item.noMissingAcceleratorWarnings)).toBe(true);
    expect(parse("{accelerators: 'nvidia:80GB'}", facts)).toHaveLength(1);
    expect(() => parse("{accelerators: 'amd:80GB'}", facts)).toThrow("No accelerators found with 'amd:80GB'");
  });

  it("by memory size without a catalog stay as written, for the server", () => {
    expect(choiceToValue(parseResources(parseYaml("{accelerators: '80GB+:2'}")?.root).choice)).toMatchObject({
      accelerators: { "80GB+": 2 },
    });
  });
});

describe("places and instance types with a catalog", () => {
  it.each(["{infra: aws/US-EAST-1/us-east-1a}", "{infra: k8s/any}", "{instance_type: m6i.large, cpus: 2+, memory: 8}"])(
    "accepts %s",
    (yaml) => {
      expect(parse(yaml, facts)).toHaveLength(1);
    },
  );

  it.each([
    [
      "{infra: aws/us-eastt-1}",
      "Invalid region 'us-eastt-1'\nDid you mean one of these: 'us-east-1, us-east-2, us-west-2'?",
    ],
    [
      "{infra: aws/us-east-1/us-east-1z}",
      "Invalid zone 'us-east-1z' for region 'us-east-1'\nDid you mean one of these: 'us-east-1a, us-east-1b'?",
    ],
    ["{infra: aws/mars}", "Invalid region 'mars'\nList of supported aws regions: '"],
    ["{infra: aws, instance_type: m6i.foo, cpus: 4}", "No instance type m6i.foo found."],
    ["{infra: aws, instance_type: m6i.foo}", "Invalid instance type 'm6i.foo' for cloud AWS."],
    [
      "{instance_type: m6i.large, cpus: 4}",
      "m6i.large does not have the requested number of vCPUs. m6i.large has 2.0 vCPUs, but 4 is requested.",
    ],
    [
      "{instance_type: m6i.large, memory: 16+}",
      "m6i.large does not have the requested memory. m6i.large has 8.0 GB memory, but 16+ is requested.",
    ],
  ])("refuses %s", (yaml, message) => {
    expect(() => parse(yaml, facts)).toThrow(message);
  });
});

describe("formatResources", () => {
  it.each([
    ["{}", "<Cloud>()"],
    ["{infra: aws, cpus: 2+, memory: 16}", "AWS(cpus=2+, mem=16)"],
    [
      "{infra: aws, instance_type: p3.2xlarge, accelerators: V100, use_spot: true}",
      "AWS(p3.2xlarge[Spot], {'V100': 1})",
    ],
    ["{accelerators: V100:0.5, max_hourly_cost: 2.5}", "<Cloud>({'V100': 0.5}, max_cost=$2.5/hr)"],
    [
      "{disk_size: 100, disk_tier: best, network_tier: best, ports: [80, 90-91], image_id: 'docker:x', local_disk: nvme}",
      "<Cloud>(image_id=docker:x, disk_tier=best, network_tier=best, disk_size=100, local_disk=nvme:100+, ports=['80', '90-91'])",
    ],
    ["{image_id: {us-east-1: a, docker: b}}", "<Cloud>(image_id={'us-east-1': 'a'} | docker:b)"],
  ])("%s", (yaml, text) => {
    expect(formatResources(one(yaml))).toBe(text);
  });

  it("can show the place", () => {
    expect(formatResources(one("{infra: aws/r/z, cpus: 2}"), { withPlace: true })).toBe(
      "AWS(cpus=2, region=r, zone=z)",
    );
    expect(formatResources(one("{infra: ssh/p}"), { withPlace: true })).toBe("SSH(, region=p)");
  });
});

/** [wanted, launched, expected], recorded from 0.14.1. */
const COMPARISONS: readonly (readonly [string, string, boolean])[] = [
  ["{}", "{infra: aws/r/z}", true],
  ["{infra: aws}", "{infra: aws/r/z}", true],
  ["{infra: gcp}", "{infra: aws/r/z}", false],
  ["{infra: aws/q}", "{infra: aws/r/z}", false],
  ["{infra: '*/r'}", "{infra: aws/r/z}", true],
  ["{infra: aws/r/y}", "{infra: aws/r/z}", false],
  ["{cpus: 8}", "{cpus: 4}", true],
  ["{accelerators: V100}", "{accelerators: V100:4}", true],
  ["{accelerators: V100:4}", "{accelerators: V100}", false],
  ["{accelerators: V100}", "{}", false],
  ["{accelerators: V100}", "{accelerators: A100}", false],
  ["{accelerators: V100:0.6}", "{accelerators: V100:0.5}", false],
  ["{use_spot: true}", "{}", false],
  ["{use_spot: false}", "{use_spot: true}", false],
  ["{}", "{use_spot: true}", true],
  ["{disk_tier: best}", "{disk_tier: high}", true],
  ["{disk_tier: low}", "{disk_tier: high}", true],
  ["{disk_tier: high}", "{disk_tier: low}", false],
  ["{disk_tier: low}", "{}", false],
  ["{network_tier: best}", "{network_tier: standard}", false],
  ["{network_tier: standard}", "{network_tier: best}", true],
  ["{disk_size: 500}", "{disk_size: 100}", true],
  ["{image_id: 'docker:a'}", "{image_id: 'docker:b'}", false],
  ["{image_id: 'docker:a'}", "{image_id: 'docker:a'}", true],
  ["{image_id: 'docker:a'}", "{}", false],
  ["{instance_type: a}", "{instance_type: b}", false],
  ["{local_disk: nvme}", "{}", false],
  ["{local_disk: 'nvme:100+'}", "{local_disk: 'nvme:200'}", true],
  ["{accelerators: V100, accelerator_args: {runtime_version: x}}", "{accelerators: V100}", false],
];

describe("lessDemandingThan", () => {
  it.each(COMPARISONS)("%s where %s runs: %s", (wanted, launched, expected) => {
    expect(lessDemandingThan(one(wanted), one(launched))).toBe(expected);
  });

  it("counts ports and the place only when asked", () => {
    const open = one("{infra: aws, ports: [80, 90-99]}");
    expect(lessDemandingThan(one("{ports: 95}"), open, { checkPorts: true })).toBe(true);
    expect(lessDemandingThan(one("{ports: 100}"), open, { checkPorts: true })).toBe(false);
    expect(lessDemandingThan(one("{ports: 100}"), open)).toBe(true);
    expect(lessDemandingThan(one("{infra: gcp}"), open, { checkCloud: false })).toBe(true);
  });
});

describe("ports", () => {
  const port = fc.integer({ min: 1, max: 300 });
  const range = fc.oneof(
    port.map(String),
    fc.tuple(port, fc.nat(20)).map(([from, more]) => `${from}-${from + more}`),
  );
  const expand = (ranges: readonly string[]): number[] =>
    ranges.flatMap((item) => {
      const [from = 0, to = from] = item.split("-").map(Number);
      return Array.from({ length: to - from + 1 }, (_, index) => from + index);
    });

  it("come out sorted, once, and joined", () => {
    fc.assert(
      fc.property(fc.array(range, { maxLength: 20 }), (written) => {
        const canonical = canonicalPorts(written);
        expect(expand(canonical)).toEqual([...new Set(expand(written))].sort((a, b) => a - b));
        expect(canonicalPorts(canonical)).toEqual(canonical);
        expect(coversPorts(canonical, written)).toBe(true);
      }),
    );
  });
});

describe("an infra that nobody knows", () => {
  it.each([
    ["awss", "Did you mean `infra: aws`?"],
    ["gpc/us-central1", "Did you mean `infra: gcp/us-central1`?"],
    ["loca", "Did you mean `infra: local`?"],
    ["local/here", "This machine is `infra: local`, without a region."],
    ["moonbase", "This machine is `infra: local`; `sky check` lists what else can be used."],
  ])("%s comes with a hint", (infra, hint) => {
    let seen: unknown;
    try {
      parseResources(nodeOf({ infra }));
    } catch (error) {
      seen = error;
    }
    expect(seen).toMatchObject({ hint, message: expect.stringContaining("Check problematic field(s): $.infra") });
  });
});

describe("infra", () => {
  const part = fc.constantFrom("*", "a", "us-east-1", "b2");

  it("is printed in a form that means the same", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("aws", "*", "ssh", "slurm", "k8s"),
        fc.array(part, { maxLength: 2 }),
        (cloud, rest) => {
          const infra = parseInfra([cloud, ...rest].join("/"));
          expect(parseInfra(formatInfra(infra) ?? "*")).toEqual(infra);
        },
      ),
    );
  });
});

describe("resourcesToValue", () => {
  const field = fc.record(
    {
      cpus: fc.constantFrom("4", "4+", "0.5"),
      memory: fc.constantFrom("16", "2x", "0.5+"),
      accelerators: fc.constantFrom("V100", "A100:8", "T4:0.5"),
      use_spot: fc.boolean(),
      disk_size: fc.integer({ min: 1, max: 2000 }),
      ports: fc.array(fc.integer({ min: 1, max: 65_535 }), { maxLength: 4 }),
      autostop: fc.constantFrom<unknown>(true, false, 10, "1h", { idle_minutes: 3, down: true, wait_for: "JOBS" }),
      labels: fc.dictionary(fc.string({ minLength: 1 }), fc.string(), { maxKeys: 3 }),
      infra: fc.constantFrom("aws", "gcp/us-central1", "k8s/a/b", "ssh/pool", "*/r"),
      image_id: fc.constantFrom<unknown>("docker:x", "ami-1", { r1: "a", r2: "b" }, { docker: "img" }),
      priority: fc.integer({ min: -1000, max: 1000 }),
      job_recovery: fc.constantFrom<unknown>("failover", { strategy: null, recover_on_exit_codes: [1, 2] }),
    },
    { requiredKeys: [] },
  );

  it("is a fixed point of parsing", () => {
    fc.assert(
      fc.property(field, (value) => {
        const [parsed] = parseResources(nodeOf(value)).choice.candidates;
        if (parsed === undefined) throw new Error("no candidate");
        const again = parseResources(nodeOf(resourcesToValue(parsed))).choice.candidates[0];
        expect(again).toEqual(parsed);
      }),
    );
  });
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openCatalogs } from "../../../test/support/catalogs.ts";
import { parseTaskYaml } from "../task/parse.ts";
import { catalogFacts } from "./catalog-facts.ts";

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "sky-"));
});

afterEach(() => rmSync(home, { recursive: true }));

function accelerators(wish: string): readonly string[] {
  const { tasks } = parseTaskYaml(`resources: {accelerators: '${wish}'}\nrun: echo`, {
    side: "server",
    facts: catalogFacts(openCatalogs(home)),
  });
  return (tasks[0]?.resources.candidates ?? []).map((one) => one.accelerators?.name ?? "");
}

function check(resources: string): void {
  parseTaskYaml(`resources: ${resources}\nrun: echo`, { side: "server", facts: catalogFacts(openCatalogs(home)) });
}

it.each([
  ["a100:8", ["A100"]],
  ["trainium2:16", ["Trainium2"]],
  ["gaudi", ["Gaudi HL-205"]],
  ["tpu-V5p", ["tpu-v5p"]],
  ["A100.80GB", ["A100.80GB"]],
  ["RTX(", ["RTX("]],
  ["141GB", ["H200", "H200-SXM"]],
  ["AMD:16GB+", ["MI300X", "Radeon MI25"]],
])("accelerators %s are %j", (wish, expected) => {
  expect(accelerators(wish)).toEqual(expected);
});

it("a name that several contain is ambiguous", () => {
  expect(() => accelerators("RTXA:1")).toThrow(
    "Accelerator name 'RTXA' is ambiguous. Please choose one of ['RTXA4000', 'RTXA4500', 'RTXA5000', 'RTXA6000'].",
  );
});

it.each([
  [
    "{infra: aws/us-wst-2}",
    "Invalid region 'us-wst-2'\nDid you mean one of these: 'eu-west-2, us-east-1, us-east-2, us-west-1, us-west-2'?",
  ],
  ["{infra: aws, instance_type: m6i.3xlarge}", "Invalid instance type 'm6i.3xlarge' for cloud AWS."],
  ["{infra: aws, instance_type: m6i.large, cpus: 8+}", "m6i.large has 2.0 vCPUs, but 8+ is requested."],
])("%s is refused", (resources, message) => {
  expect(() => check(resources)).toThrow(message);
});

it("checks zones once the account's names are known", () => {
  check("{infra: aws/us-west-2/us-west-2z}");
  const directory = join(home, ".sky", "catalogs", "v8", "aws");
  mkdirSync(directory, { recursive: true });
  const rows = ["AvailabilityZoneName,AvailabilityZone", "us-west-2a,usw2-az2", "us-west-2b,usw2-az1", ""];
  writeFileSync(join(directory, "az_mappings-00000000.csv"), rows.join("\n"));
  check("{infra: aws/us-west-2/us-west-2a}");
  expect(() => check("{infra: aws/us-west-2/us-west-2z}")).toThrow(
    "Invalid zone 'us-west-2z' for region 'us-west-2'\nDid you mean one of these: 'us-west-2a, us-west-2b'?",
  );
  expect(() => check("{infra: aws/eu-west-1}")).toThrow("Invalid region 'eu-west-1'");
});

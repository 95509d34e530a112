import { expect, it } from "vitest";
import { Catalog } from "./catalog.ts";
import { parseCatalogCsv } from "./csv.ts";

function catalogOf(text: string): Catalog {
  const origin = { kind: "user file", path: "vms.csv", dates: { onDemand: "2026-01-01", spot: "2026-01-01" } } as const;
  return new Catalog({ cloud: "aws", origin, table: parseCatalogCsv(text, "vms.csv") });
}

const HEADER =
  "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,AvailabilityZone,Arch";

it("reads a type with quoted device information, unknown prices and CRLF", () => {
  const info = `"{'Gpus': [{'Name': 'L4', 'Note': 'a ""quoted"" word', 'MemoryInfo': {'SizeInMiB': 5722}}], 'TotalGpuMemoryInMiB': 45776}"`;
  const catalog = catalogOf(
    [HEADER, `g6f.4xlarge,L4,0.5,16.0,64.0,${info},0.95,,us-east-1,use1-az1,x86_64`, ""].join("\r\n"),
  );
  expect(catalog.findType("g6f.4xlarge")).toEqual({
    name: "g6f.4xlarge",
    vcpus: 16,
    memoryGib: 64,
    accelerator: { name: "L4", count: 0.5, memoryMib: 5722 },
    isGpu: true,
    arch: "x86_64",
    localDisk: undefined,
    efaInterfaces: undefined,
  });
  expect(catalog.places("g6f.4xlarge")).toEqual([
    { region: "us-east-1", zone: "use1-az1", onDemandUsd: 0.95, spotUsd: undefined },
  ]);
});

it("finds columns by name, in any order, and does without those that a file lacks", () => {
  const catalog = catalogOf("Region,Price,vCPUs,MemoryGiB,InstanceType\nEU,0.1,2,4,small\n\nEU,0.3,4,8,large\n");
  expect(catalog.types().map((type) => [type.name, type.vcpus, type.arch])).toEqual([
    ["small", 2, undefined],
    ["large", 4, undefined],
  ]);
  expect(catalog.places("large")).toEqual([{ region: "EU", zone: undefined, onDemandUsd: 0.3, spotUsd: undefined }]);
});

it.each([
  ["InstanceType,Price,Region\n", "line 1 lacks the column vCPUs, MemoryGiB"],
  ["", "line 1 lacks the column InstanceType, vCPUs, MemoryGiB, Price, Region"],
  [`${HEADER}\na,b\n`, "line 2 has 2 fields, the header has 11"],
  [`${HEADER}\nm5.large,,,2,8,,cheap,,us-east-1,a,\n`, "line 2: Price is 'cheap', not a number"],
  [`${HEADER}\nm5.large,,,2,8,,-1,,us-east-1,a,\n`, "line 2: Price is '-1', not a number"],
])("says what is wrong with %j", (text, problem) => {
  expect(() => catalogOf(text)).toThrow(`Failed to read vms.csv: ${problem}.`);
});

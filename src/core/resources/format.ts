/** The one-line form of resources: `AWS(p3.2xlarge[Spot], {'V100': 1})`. */

import { nodeOf } from "../../shared/yaml-node.ts";
import { pyRepr, reprFloat, reprString } from "../../shared/yaml-repr.ts";
import { displayCloud } from "../../shared/cloud-names.ts";
import { displayRegion } from "./infra.ts";
import type { Resources } from "./resources.ts";

export interface FormatOptions {
  /** Also region and zone. */
  readonly withPlace?: boolean;
}

export function formatResources(resources: Resources, options: FormatOptions = {}): string {
  const { infra } = resources;
  const cloud = infra.cloud === undefined ? "<Cloud>" : displayCloud(infra.cloud);
  const spot = resources.useSpot === true ? "[Spot]" : "";
  const hardware = `${resources.instanceType ?? ""}${spot}`;
  const parts = [...(hardware === "" ? [] : [hardware]), ...details(resources)].join(", ");
  const region = displayRegion(infra);
  const place = [
    ...(region === undefined ? [] : [`, region=${region}`]),
    ...(infra.zone === undefined ? [] : [`, zone=${infra.zone}`]),
  ].join("");
  return `${cloud}(${parts}${options.withPlace === true ? place : ""})`;
}

function details(resources: Resources): string[] {
  const { accelerators, acceleratorArgs, ports } = resources;
  const shown: readonly (readonly [string, string | number | undefined])[] = [
    ["cpus=", resources.cpus],
    ["mem=", resources.memory],
    ["", accelerators === undefined ? undefined : `{${reprString(accelerators.name)}: ${accelerators.count}}`],
    ["accelerator_args=", acceleratorArgs === undefined ? undefined : pyRepr(nodeOf(acceleratorArgs))],
    ["image_id=", imageText(resources)],
    ["disk_tier=", resources.diskTier],
    ["network_tier=", resources.networkTier],
    ["disk_size=", resources.diskSizeGib],
    ["local_disk=", resources.localDisk],
    ["max_cost=", resources.maxHourlyCostUsd === undefined ? undefined : `$${price(resources.maxHourlyCostUsd)}/hr`],
    ["ports=", ports === undefined ? undefined : pyRepr(nodeOf(ports))],
  ];
  return shown.flatMap(([label, value]) => (value === undefined ? [] : [`${label}${value}`]));
}

function price(usd: number): string {
  return Number.isInteger(usd) ? String(usd) : reprFloat(usd);
}

function imageText(resources: Resources): string | undefined {
  const images = resources.imageId;
  if (images === undefined) return undefined;
  const any = images.get(null);
  if (any !== undefined) return any;
  const docker = images.get("docker");
  const regions = new Map([...images].filter(([key]) => key !== "docker"));
  const text = pyRepr(nodeOf(regions));
  if (docker === undefined) return text;
  return regions.size === 0 ? `docker:${docker}` : `${text} | docker:${docker}`;
}

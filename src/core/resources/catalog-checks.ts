/** What only a catalog can tell: whether region, zone and instance type exist and offer what is asked for. */

import { closeWords } from "../../shared/config/closest.ts";
import { InvalidValueError, ResourcesMismatchError } from "../../shared/errors.ts";
import { reprFloat, reprString } from "../../shared/yaml-repr.ts";
import { displayCloud } from "../../shared/cloud-names.ts";
import { checkMachineImage } from "./image-checks.ts";
import type { AcceleratorRequest, CatalogFacts, InstanceTypeFacts, Resources } from "./resources.ts";

const SUGGESTIONS = 5;

/** A cloud whose catalog names no regions is not checked. @throws InvalidValueError */
export function checkAgainstCatalog(resources: Resources, facts: CatalogFacts): void {
  const { cloud, region, zone } = resources.infra;
  if (cloud !== undefined && region !== undefined) checkRegion(region, cloud, facts.regions(cloud));
  if (cloud !== undefined && zone !== undefined) checkZone(zone, region, facts.zones(cloud, region));
  checkInstanceType(resources, facts);
  checkMachineImage(resources);
}

const COUNT_TOLERANCE = 0.01;

function checkRegion(name: string, cloud: string, known: readonly string[]): void {
  if (known.length === 0 || known.some((item) => item.toLowerCase() === name.toLowerCase())) return;
  const hint = didYouMean(name, known) ?? `List of supported ${cloud} regions: '${known.join(", ")}'`;
  throw new InvalidValueError(`Invalid region '${name}'\n${hint}`);
}

function checkZone(name: string, region: string | undefined, known: readonly string[]): void {
  if (known.length === 0 || known.includes(name)) return;
  const place = region === undefined ? "" : ` for region '${region}'`;
  const hint = didYouMean(name, known);
  throw new InvalidValueError(`Invalid zone '${name}'${place}${hint === undefined ? "" : `\n${hint}`}`);
}

function didYouMean(name: string, known: readonly string[]): string | undefined {
  const close = [...closeWords(name, known, SUGGESTIONS)].sort();
  return close.length === 0 ? undefined : `Did you mean one of these: '${close.join(", ")}'?`;
}

function checkInstanceType(resources: Resources, facts: CatalogFacts): void {
  const { instanceType: name, cpus, memory, infra } = resources;
  if (name === undefined) return;
  const type = facts.instanceType(name, infra.cloud);
  if (type === undefined) return refuseUnknownType(resources, name, facts);
  checkAccelerators(resources, type);
  if (cpus !== undefined && !offers(type.vcpus, cpus))
    throw new InvalidValueError(
      `${name} does not have the requested number of vCPUs. ${name} has ${reprFloat(type.vcpus)} vCPUs, but ${cpus} is requested.`,
    );
  if (memory !== undefined && !memory.includes("x") && !offers(type.memoryGib, memory))
    throw new InvalidValueError(
      `${name} does not have the requested memory. ${name} has ${reprFloat(type.memoryGib)} GB memory, but ${memory} is requested.`,
    );
}

/** @throws ResourcesMismatchError */
function checkAccelerators(resources: Resources, type: InstanceTypeFacts): void {
  const { instanceType, accelerators: wanted } = resources;
  if (wanted === undefined || hasAccelerators(type, wanted)) return;
  throw new ResourcesMismatchError(
    [
      "Infeasible resource demands found:",
      `  Instance type requested: ${instanceType}`,
      `  Accelerators for ${instanceType}: ${acceleratorText(type.accelerators)}`,
      `  Accelerators requested: ${acceleratorText(wanted)}`,
      "To fix: either only specify instance_type, or change the accelerators field to be consistent.",
    ].join("\n"),
  );
}

function hasAccelerators({ accelerators: has }: InstanceTypeFacts, wanted: AcceleratorRequest): boolean {
  if (has === undefined || has.name.toLowerCase() !== wanted.name.toLowerCase()) return false;
  return Math.abs(has.count - wanted.count) <= COUNT_TOLERANCE;
}

function acceleratorText(accelerators: AcceleratorRequest | undefined): string {
  return accelerators === undefined ? "None" : `{${reprString(accelerators.name)}: ${accelerators.count}}`;
}

/** Clouds without a catalog make up types of their own, so that a name without a cloud is left to whoever asks them all. */
function refuseUnknownType({ infra, cpus, memory }: Resources, name: string, facts: CatalogFacts): void {
  if (infra.cloud === undefined || facts.regions(infra.cloud).length === 0) return;
  if (cpus !== undefined || memory !== undefined) throw new InvalidValueError(`No instance type ${name} found.`);
  throw new InvalidValueError(`Invalid instance type '${name}' for cloud ${displayCloud(infra.cloud)}.`);
}

function offers(has: number, wanted: string): boolean {
  const amount = Number.parseFloat(wanted);
  return wanted.endsWith("+") ? has >= amount : has === amount;
}

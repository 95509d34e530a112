/** What only a catalog can tell: whether region, zone and instance type exist and offer what is asked for. */

import { closeWords } from "../../shared/config/closest.ts";
import { InvalidValueError } from "../../shared/errors.ts";
import { reprFloat } from "../../shared/yaml-repr.ts";
import type { CatalogFacts, Resources } from "./resources.ts";

const SUGGESTIONS = 5;

/** A cloud whose catalog names no regions is not checked. @throws InvalidValueError */
export function checkAgainstCatalog(resources: Resources, facts: CatalogFacts): void {
  const { cloud, region, zone } = resources.infra;
  if (cloud !== undefined && region !== undefined) checkPlace("region", region, facts.regions(cloud));
  if (cloud !== undefined && zone !== undefined) checkPlace("zone", zone, facts.zones(cloud, region));
  checkInstanceType(resources, facts);
}

function checkPlace(kind: "region" | "zone", name: string, known: readonly string[]): void {
  if (known.length === 0) return;
  const found =
    kind === "region" ? known.some((item) => item.toLowerCase() === name.toLowerCase()) : known.includes(name);
  if (found) return;
  const close = [...closeWords(name, known, SUGGESTIONS)].sort();
  const hint = close.length === 0 ? "" : `\nDid you mean one of these: '${close.join(", ")}'?`;
  throw new InvalidValueError(`Invalid ${kind} '${name}'${hint}`);
}

function checkInstanceType(resources: Resources, facts: CatalogFacts): void {
  const { instanceType: name, cpus, memory, infra } = resources;
  if (name === undefined) return;
  const type = facts.instanceType(name, infra.cloud);
  if (type === undefined) throw new InvalidValueError(`No instance type ${name} found.`);
  if (cpus !== undefined && !offers(type.vcpus, cpus))
    throw new InvalidValueError(
      `${name} does not have the requested number of vCPUs. ${name} has ${reprFloat(type.vcpus)} vCPUs, but ${cpus} is requested.`,
    );
  if (memory !== undefined && !memory.includes("x") && !offers(type.memoryGib, memory))
    throw new InvalidValueError(
      `${name} does not have the requested memory. ${name} has ${reprFloat(type.memoryGib)} GB memory, but ${memory} is requested.`,
    );
}

function offers(has: number, wanted: string): boolean {
  const amount = Number.parseFloat(wanted);
  return wanted.endsWith("+") ? has >= amount : has === amount;
}

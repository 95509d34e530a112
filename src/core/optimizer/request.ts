import type { Resources } from "../resources/resources.ts";
import type { OfferRequest } from "../ports/cloud.ts";

/** The registry key that a task's infra means; undefined: any. `ssh/local` is how the official client spells this machine. */
export function cloudKeyOf(resources: Resources): string | undefined {
  const { cloud, region } = resources.infra;
  if (cloud === "ssh" && (region === "local" || region === "ssh-local")) return "local";
  return cloud;
}

/** Turns a candidate of a task into the question that clouds answer. */
export function toOfferRequest(resources: Resources, numNodes: number): OfferRequest {
  const isLocal = cloudKeyOf(resources) === "local";
  const { region, zone } = isLocal ? { region: undefined, zone: resources.infra.zone } : resources.infra;
  const { accelerators } = resources;
  const imageId = resources.imageId?.values().next().value;
  return {
    numNodes,
    ...(region === undefined ? {} : { region }),
    ...(zone === undefined ? {} : { zone }),
    ...(resources.instanceType === undefined ? {} : { instanceType: resources.instanceType }),
    ...(resources.cpus === undefined ? {} : { cpus: readCpus(resources.cpus) }),
    ...(resources.memory === undefined ? {} : { memory: readMemory(resources.memory) }),
    accelerators: accelerators === undefined ? {} : { [accelerators.name]: accelerators.count },
    useSpot: resources.useSpot ?? false,
    ports: resources.ports ?? [],
    ...(imageId === undefined ? {} : { imageId }),
    diskGib: resources.diskSizeGib ?? 256,
    ...(resources.maxHourlyCostUsd === undefined ? {} : { maxUsdPerHour: resources.maxHourlyCostUsd }),
  };
}

function readCpus(text: string): { readonly count: number; readonly orMore: boolean } {
  return { count: Number.parseFloat(text), orMore: text.endsWith("+") };
}

function readMemory(text: string): { readonly amount: number; readonly orMore: boolean; readonly perCpu: boolean } {
  return { amount: Number.parseFloat(text), orMore: text.endsWith("+"), perCpu: /x\+?$/.test(text) };
}

import { DEFAULT_DISK_SIZE_GIB, type Resources } from "../resources/resources.ts";
import { displayRegion } from "../resources/infra.ts";
import { machineImageOf } from "../resources/image.ts";
import type { OfferRequest } from "../ports/cloud.ts";

/** The registry key that a task's infra means; undefined: any. `ssh/local` is how the official client spells this machine. */
export function cloudKeyOf(resources: Resources): string | undefined {
  const { cloud, region } = resources.infra;
  if (cloud === "ssh" && (region === "local" || region === "ssh-local")) return "local";
  return cloud;
}

/** Turns a candidate of a task into the question that clouds answer. */
export function toOfferRequest(resources: Resources, numNodes: number): OfferRequest {
  const { accelerators, instanceType, cpus, memory, diskTier, localDisk, maxHourlyCostUsd } = resources;
  return {
    numNodes,
    ...placeOf(resources),
    accelerators: accelerators === undefined ? {} : { [accelerators.name]: accelerators.count },
    useSpot: resources.useSpot ?? false,
    ports: resources.ports ?? [],
    diskGib: resources.diskSizeGib ?? DEFAULT_DISK_SIZE_GIB,
    ...present({
      instanceType,
      cpus: cpus === undefined ? undefined : readCpus(cpus),
      memory: memory === undefined ? undefined : readMemory(memory),
      imageId: machineImageOf(resources),
      diskTier,
      localDisk,
      maxUsdPerHour: maxHourlyCostUsd,
    }),
  };
}

/** This machine is one region, which is not asked for by name; a pool is a region without the prefix that only the wire knows. */
function placeOf(resources: Resources): { readonly region?: string; readonly zone?: string } {
  const region = cloudKeyOf(resources) === "local" ? undefined : displayRegion(resources.infra);
  return present({ region, zone: resources.infra.zone });
}

type Present<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

function present<T extends object>(fields: T): Present<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>;
}

function readCpus(text: string): { readonly count: number; readonly orMore: boolean } {
  return { count: Number.parseFloat(text), orMore: text.endsWith("+") };
}

function readMemory(text: string): { readonly amount: number; readonly orMore: boolean; readonly perCpu: boolean } {
  return { amount: Number.parseFloat(text), orMore: text.endsWith("+"), perCpu: /x\+?$/.test(text) };
}

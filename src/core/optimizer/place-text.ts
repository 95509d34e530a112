/** Words for offers in tables and messages. */
import type { Offer } from "../ports/cloud.ts";
import { formatAmount } from "./ruled-table.ts";

const PLACE_WIDTH = 25;

/** `AWS (us-east-1)`, with the zone where one is fixed; `Local` where there is one place only. */
export function infraText(displayName: string, offer: Offer): string {
  const place = offer.zone ?? offer.region;
  return place === offer.cloud ? displayName : `${displayName} (${shorten(place.replace(/^ssh-/, ""))})`;
}

/** Long names lose their middle. */
function shorten(name: string): string {
  if (name.length <= PLACE_WIDTH) return name;
  const kept = PLACE_WIDTH - 3;
  const head = Math.ceil(kept / 2);
  return `${name.slice(0, head)}...${name.slice(name.length - (kept - head))}`;
}

/** Types that clouds without fixed sizes make up: `2CPU--4GB`. */
export function isVirtualType(instanceType: string): boolean {
  return /^[\d.]+CPU--[\d.]+GB(--.+)?$/.test(instanceType);
}

/** `T4:1`; undefined without accelerators. */
export function gpuText(offer: Offer): string | undefined {
  const gpus = Object.entries(offer.resources.accelerators).map(([name, count]) => `${name}:${count}`);
  return gpus.length > 0 ? gpus.join(", ") : undefined;
}

/** As the table has it: `-` where the columns beside it say it all. */
export function instanceText(offer: Offer): string {
  return isVirtualType(offer.instanceType) ? "-" : `${offer.instanceType}${offer.useSpot ? "[Spot]" : ""}`;
}

/** `gpus=T4:1, g4dn.xlarge, ...`, and in full. */
export function hardwareText(offer: Offer, isFull: boolean): string {
  const { cpus, memoryGib, accelerators } = offer.resources;
  const gpus = Object.entries(accelerators).map(([name, count]) => `${name}:${count}`);
  const parts = gpus.length > 0 ? [`gpus=${gpus.join(",")}`] : [];
  const isVirtual = isVirtualType(offer.instanceType);
  if (isFull || gpus.length === 0 || isVirtual) {
    parts.push(`cpus=${formatAmount(cpus)}`, `mem=${formatAmount(memoryGib)}`);
  }
  if (!isVirtual) parts.push(offer.instanceType);
  if (!isFull) parts.push("...");
  return parts.join(", ");
}

import type { HostFacts } from "../../shared/agent/host.ts";
import { countGpus } from "./offers.ts";

/** `8 CPUs, 31.3 GiB of memory, 2x L4, 120 GiB of disk free, Debian GNU/Linux 12 (bookworm), x64`. */
export function describeHost(facts: HostFacts): string {
  const gpus = Object.entries(countGpus(facts)).map(([name, count]) => `${count}x ${name}`);
  return [
    `${facts.cpus} ${facts.cpus === 1 ? "CPU" : "CPUs"}`,
    `${facts.memoryGib} GiB of memory`,
    ...gpus,
    `${Math.floor(facts.diskFreeGib)} GiB of disk free`,
    facts.os,
    facts.arch,
  ].join(", ");
}

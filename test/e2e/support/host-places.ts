import type { Host } from "../../fleet/host.ts";
import { variablesOf } from "./process-tree.ts";

/** Files, command lines and variables of a machine, by where they are. */
export async function everythingOn(host: Host): Promise<ReadonlyMap<string, string>> {
  const places = new Map<string, string>();
  const find = "find /home /tmp /var /run /root /etc /opt /srv /dev/shm -xdev -type f -size -20M 2>/dev/null; true";
  const paths = (await host.exec(["sh", "-c", find])).stdout.split("\n").filter((path) => path !== "");
  for (const path of paths.filter((one) => !one.startsWith("/etc/ssl") && !one.includes("/runtime/"))) {
    places.set(`${host.name}:${path}`, (await host.exec(["cat", path])).stdout);
  }
  for (const { pid, argv } of host.processes()) {
    places.set(`${host.name}: process ${pid}`, argv.join("\0"));
    places.set(`${host.name}: variables of ${pid}, ${argv[0] ?? ""}`, variablesOf(pid));
  }
  return places;
}

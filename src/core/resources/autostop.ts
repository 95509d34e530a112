import { child, isString, plainOf, type YamlNode } from "../../shared/yaml-node.ts";
import { parseMinutes } from "./amounts.ts";
import type { Autostop, AutostopWaitFor } from "./resources.ts";

/** `true`, `10`, `5m` or a map; `false` is "explicitly off". The schema has checked the form. */
export function parseAutostop(node: YamlNode): Autostop | false {
  const value = plainOf(node);
  if (value === false) return false;
  if (value === true) return { idleMinutes: 0, down: false };
  if (typeof value === "number") return { idleMinutes: value, down: false };
  if (typeof value === "string") return { idleMinutes: parseMinutes(value), down: false };
  const idle = child(node, "idle_minutes");
  const down = child(node, "down");
  const waitFor = child(node, "wait_for");
  return {
    idleMinutes: idle === undefined ? 0 : Number(plainOf(idle)),
    down: down !== undefined && plainOf(down) === true,
    ...(isString(waitFor) && { waitFor: waitFor.value.toLowerCase() as AutostopWaitFor }),
  };
}

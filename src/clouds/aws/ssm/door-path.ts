import { createHash } from "node:crypto";
import { userInfo } from "node:os";

/** Where the server of a home has its door. The path of a socket must be short, and users with several homes have several servers. */
export function doorPathOf(home: string): string {
  return `/tmp/sky-ssm-${userInfo().uid}/${createHash("sha256").update(home).digest("hex").slice(0, 16)}`;
}

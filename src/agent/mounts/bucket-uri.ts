import type { MountSpec } from "../../shared/agent/mounts.ts";

/** What is mounted, as users write it. */
export function uriOf({ scheme = "s3", bucket, prefix }: Pick<MountSpec, "scheme" | "bucket" | "prefix">): string {
  return `${scheme}://${[bucket, prefix].filter((part) => part !== "").join("/")}`;
}

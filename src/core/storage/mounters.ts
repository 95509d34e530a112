import type { MounterPin } from "../../shared/agent/mounts.ts";

const VERSION = "v1.75.1";

/** SHA-256 of the archives in https://downloads.rclone.org/v1.75.1/; independent build recipes in public repositories agree on them. */
const ARCHIVES = {
  x64: { name: "amd64", sha256: "982b5aa772841168f8e380f139e9e787b2a105403e32b94da8676a0e1c0a13ab" },
  arm64: { name: "arm64", sha256: "03f2504174034b6d004152ed7369251c9a9ec1f7e0836eda420f5c7a5ec0dff9" },
} as const;

/** Where nodes without rclone get it; docs/adr/0017-rclone-mounts-buckets.md says why this one. */
export const pinnedMounters: readonly MounterPin[] = Object.entries(ARCHIVES).map(([arch, { name, sha256 }]) => {
  const folder = `rclone-${VERSION}-linux-${name}`;
  const url = `https://downloads.rclone.org/${VERSION}/${folder}.zip`;
  return { arch, version: VERSION, url, sha256, program: `${folder}/rclone` };
});

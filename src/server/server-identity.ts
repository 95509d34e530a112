import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { writeFileAtomic } from "../platform/atomic-file.ts";
import { hostName } from "../platform/paths.ts";

/**
 * Who holds this server's leases: `<data directory>@<host>/<process>`. The first part is kept in `idFile`, so that a server that comes up
 * on the same data directory, whose lock it then has, knows the leases of its dead predecessor and need not wait until they run out. The
 * host keeps two machines apart that were made from one image.
 */
export function createServerIdentity(idFile: string): string {
  return `${loadDataDirectoryId(idFile)}@${hostName()}/${randomUUID()}`;
}

/** The part of an identity that all servers of one data directory share. */
export function dataDirectoryOf(identity: string): string {
  return identity.replace(/\/[^/]*$/, "");
}

function loadDataDirectoryId(path: string): string {
  try {
    const saved = readFileSync(path, "utf8").trim();
    if (/^[0-9a-f-]{36}$/.test(saved)) return saved;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
  const id = randomUUID();
  writeFileAtomic(path, `${id}\n`, { mode: 0o600, directoryMode: 0o700 });
  return id;
}

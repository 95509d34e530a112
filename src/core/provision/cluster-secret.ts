import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import { OperationFailedError } from "../../shared/errors.ts";
import { Secret } from "../../shared/secret.ts";

/** Where the secret of a cluster is kept: a file that only the server's user can read. */
export function secretPath(stateDir: string, clusterHash: string): string {
  return join(stateDir, "clusters", `${clusterHash}.json`);
}

/** Reads the token that a cluster's nodes know each other by, making it on the first call. */
export function ensureClusterToken(path: string): Secret {
  if (!existsSync(path)) {
    mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
    const token = randomBytes(32).toString("hex");
    writeFileAtomic(path, `${JSON.stringify({ token })}\n`, { mode: 0o600, directoryMode: 0o700 });
  }
  try {
    const { token } = JSON.parse(readFileSync(path, "utf8")) as { readonly token: string };
    return new Secret(token);
  } catch (error) {
    throw new OperationFailedError(`The cluster's secret in ${path} cannot be read.`, {
      cause: error,
      hint: "Terminate the cluster with `sky down` and launch it again.",
    });
  }
}

export function removeClusterToken(path: string): void {
  rmSync(path, { force: true });
}

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";

const VERSIONS = "/usr/lib/postgresql";

/** A Postgres of the test's own, on loopback, without a password. */
export interface RunningPostgres {
  readonly url: string;
  query(sql: string): string;
  stop(): Promise<void>;
}

/** Directory of Debian's Postgres programs; undefined where it is not installed or this is not root, as whom it refuses to run. */
export function findPostgres(): string | undefined {
  if (process.getuid?.() !== 0 || !existsSync(VERSIONS)) return undefined;
  const [newest] = readdirSync(VERSIONS).sort((a, b) => Number(b) - Number(a));
  return newest === undefined ? undefined : join(VERSIONS, newest, "bin");
}

/** Starts Postgres as its own user (it does not run as root) in a temporary directory, which `stop` removes. */
export async function startPostgres(bin: string): Promise<RunningPostgres> {
  const [uid, gid] = ["-u", "-g"].map((flag) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" })));
  const user = { uid: uid ?? 0, gid: gid ?? 0 };
  const data = mkdtempSync(join(tmpdir(), "postgres-"));
  chownSync(data, user.uid, user.gid);
  const port = await freePort();
  const init = ["-D", data, "-U", "sky", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
  execFileSync(join(bin, "initdb"), init, { ...user, cwd: data, stdio: "ignore" });
  const argv = ["-D", data, "-k", data, "-p", String(port), "-c", "listen_addresses=127.0.0.1"];
  const server = spawn(join(bin, "postgres"), argv, { ...user, cwd: data, stdio: "ignore" });
  const query = (sql: string): string => {
    const to = ["-h", "127.0.0.1", "-p", String(port), "-U", "sky", "-d", "postgres", "-At", "-c", sql];
    return execFileSync(join(bin, "psql"), to, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  };
  await untilReady(query);
  return {
    url: `postgresql://sky@127.0.0.1:${port}/postgres`,
    query,
    stop: async () => {
      await end(server);
      rmSync(data, { recursive: true, force: true });
    },
  };
}

async function untilReady(query: (sql: string) => string): Promise<void> {
  const deadline = Date.now() + 90_000;
  for (;;) {
    try {
      query("select 1");
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** A fast shutdown: open connections are cut. */
async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  server.kill("SIGINT");
  await once(server, "exit");
}

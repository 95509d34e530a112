import { homedir, hostname, userInfo } from "node:os";
import { join } from "node:path";
import { readVariable, type Env } from "./env.ts";

/** Files of the client side under the user's home. */
export interface SkyPaths {
  readonly home: string;
  readonly sky: string;
  /** State of our own server, apart from that of a Python SkyPilot on the same machine. */
  readonly state: string;
  readonly config: string;
  readonly userHash: string;
  readonly cookies: string;
  readonly serverLog: string;
  readonly serverPid: string;
  readonly serverLock: string;
  readonly generatedSsh: string;
  readonly generatedKeys: string;
  readonly sshConfig: string;
  readonly completionCache: string;
  readonly logs: string;
}

export function homeOf(env: Env): string {
  return readVariable(env, "HOME") ?? homedir();
}

export function skyPaths(home: string): SkyPaths {
  const sky = join(home, ".sky");
  const state = join(sky, "ts");
  return {
    home,
    sky,
    state,
    config: join(sky, "config.yaml"),
    userHash: join(sky, "user_hash"),
    cookies: join(sky, "cookies.txt"),
    serverLog: join(state, "server.log"),
    serverPid: join(state, "server.pid"),
    serverLock: join(state, "server-start.lock"),
    generatedSsh: join(sky, "generated", "ssh"),
    generatedKeys: join(sky, "generated", "ssh-keys"),
    sshConfig: join(home, ".ssh", "config"),
    completionCache: join(state, "completion.json"),
    logs: join(home, "sky_logs"),
  };
}

/** Replaces a leading `~` by the home directory. */
export function expandHome(path: string, home: string): string {
  if (path === "~") return home;
  return path.startsWith("~/") ? join(home, path.slice(2)) : path;
}

/** Shows a path under the home directory with `~`. */
export function shortenHome(path: string, home: string): string {
  return path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path;
}

/** The login name, as the server shows it. */
export function loginName(env: Env): string {
  return readVariable(env, "SKYPILOT_USER") ?? env["USER"] ?? env["LOGNAME"] ?? userInfo().username;
}

export function hostName(): string {
  return hostname();
}

import { join } from "node:path";

/** Where the API server keeps things. Our own state is below `~/.sky/ts`, apart from that of a Python SkyPilot. */
export interface ServerPaths {
  /** HOME of the server's user. */
  readonly home: string;
  /** `~/.sky/ts` */
  readonly root: string;
  readonly stateFile: string;
  readonly lockFile: string;
  readonly pidFile: string;
  /** Name of this data directory among those that share a Postgres. */
  readonly idFile: string;
  readonly serverLog: string;
  /** Key that seals request bodies (0600). */
  readonly keyFile: string;
  /** Bearer token of a listener that is not on loopback (0600). */
  readonly tokenFile: string;
  readonly requestLogs: string;
  readonly blobs: string;
  readonly uploads: string;
  /** What is known of uploads into buckets that were cut off. */
  readonly unfinishedUploads: string;
  /** `~/sky_logs` */
  readonly skyLogs: string;
  /** `~/.sky/api_server/clients`: what `/download` may hand out. */
  readonly clients: string;
  /** `~/.sky/catalogs/v8`: catalog files of the user and of refreshes. */
  readonly catalogs: string;
}

/** `runtimeDir` (SKY_RUNTIME_DIR) moves `.sky` so that several servers can share a machine. */
export function serverPaths(home: string, runtimeDir: string = home): ServerPaths {
  const root = join(runtimeDir, ".sky", "ts");
  return {
    home,
    root,
    stateFile: join(root, "state.sqlite"),
    lockFile: join(root, "server.lock"),
    pidFile: join(root, "server.pid"),
    idFile: join(root, "server.id"),
    serverLog: join(root, "server.log"),
    keyFile: join(root, "server.key"),
    tokenFile: join(root, "server.token"),
    requestLogs: join(root, "requests"),
    blobs: join(root, "blobs"),
    uploads: join(root, "uploads"),
    unfinishedUploads: join(root, "unfinished-uploads"),
    skyLogs: join(home, "sky_logs"),
    clients: join(runtimeDir, ".sky", "api_server", "clients"),
    catalogs: join(runtimeDir, ".sky", "catalogs", "v8"),
  };
}

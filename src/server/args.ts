import { parseArgs } from "node:util";
import { UsageError } from "../shared/errors.ts";

export interface ServerArgs {
  readonly host: string;
  readonly port: number;
  readonly isDeployed: boolean;
}

/** Reads the server's command line. Throws UsageError. */
export function parseServerArgs(argv: readonly string[]): ServerArgs {
  let values: { host?: string; port?: string; deploy?: boolean; m?: string };
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        host: { type: "string" },
        port: { type: "string" },
        deploy: { type: "boolean" },
        // `-m sky.server.server` is how the official client recognises the process.
        m: { type: "string", short: "m" },
      },
    }));
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
  const port = Number(values.port ?? 46580);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new UsageError(`The port must be a number from 0 to 65535, not ${values.port}.`);
  }
  const isDeployed = values.deploy ?? false;
  return { host: values.host ?? (isDeployed ? "0.0.0.0" : "127.0.0.1"), port, isDeployed };
}

/** Whether only programs on this machine can reach the address. */
export function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { SkyError } from "../shared/errors.ts";
import { bridgeStdio, type ConnectOptions } from "./connect.ts";
import { serveHost } from "./host/serve.ts";
import { runDaemon } from "./daemon.ts";
import { dialNode } from "./inside/dial.ts";
import { AGENT_VERSION } from "./version.ts";

const USAGE = `Usage: agent.cjs daemon --root DIR    run the agent of a node
       agent.cjs connect --root DIR [--ready LINE] [--wait MS]
                                      bridge stdio to the agent in DIR; LINE is printed when it is reached
       agent.cjs serve --base DIR --shell PID
                                      answer requests about a shared machine in lines of JSON on the descriptors 3 and 4
                                      and be the agent of a node then, when asked to; PID is the shell that waits for it
       agent.cjs inside --root DIR --node N
                                      bridge stdio to the SSH server of a node of the cluster
       agent.cjs --version
`;

async function main(argv: readonly string[]): Promise<number | undefined> {
  const [command, flag, root] = argv;
  if (command === "--version") {
    process.stdout.write(`${AGENT_VERSION}\n`);
    return 0;
  }
  if (command === "serve" && flag === "--base" && root !== undefined) return serve(root, Number(argv[4]));
  if (command === "inside" && flag === "--root" && root !== undefined && argv[3] === "--node") {
    return dialNode(resolve(root), Number(argv[4]));
  }
  if (flag !== "--root" || root === undefined || (command !== "daemon" && command !== "connect")) {
    process.stderr.write(USAGE);
    return 2;
  }
  if (command === "connect") return bridgeStdio(resolve(root), parseConnectOptions(argv.slice(3)));
  await become(resolve(root));
  return undefined;
}

async function serve(base: string, shell: number): Promise<number | undefined> {
  const root = await serveHost({ base, env: process.env }, shell);
  if (root === undefined) return 0;
  await become(root);
  return undefined;
}

async function become(root: string): Promise<void> {
  // Most commands have no use for it, and it takes its time to load.
  const { setFlagsFromString } = process.getBuiltinModule("node:v8");
  // A node's memory belongs to its tasks.
  setFlagsFromString("--max-old-space-size=192");
  setFlagsFromString("--max-semi-space-size=4");
  await runDaemon({ root, env: process.env, exit: (code) => process.exit(code) });
}

function parseConnectOptions(argv: readonly string[]): ConnectOptions {
  const { values } = parseArgs({ args: [...argv], options: { ready: { type: "string" }, wait: { type: "string" } } });
  return { ...(values.ready === undefined ? {} : { ready: values.ready }), waitMs: Number(values.wait ?? 0) };
}

main(process.argv.slice(2)).then(
  (code) => {
    if (code !== undefined) process.exit(code);
  },
  (error: unknown) => {
    const isKnown = error instanceof SkyError;
    process.stderr.write(`${isKnown ? error.message : ((error as Error).stack ?? String(error))}\n`);
    if (isKnown && error.hint !== undefined) process.stderr.write(`hint: ${error.hint}\n`);
    process.exit(1);
  },
);

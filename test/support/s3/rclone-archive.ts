import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { writeZip } from "../../../src/platform/zip.ts";
import type { MounterPin } from "../../../src/shared/agent/mounts.ts";
import { waitFor } from "../../e2e/support/wait-for.ts";
import type { Fleet } from "../../fleet/fleet.ts";
import { OUTSIDE } from "../../fleet/world.ts";
import { rcloneToServe } from "./rclone.ts";

const PORT = 4874;
const PROGRAM = "rclone-test/rclone";
/** Serves one file, and prints the address of whoever asks. */
const SERVER = `
const [address, port, file] = process.argv.slice(1);
require("node:http").createServer((request, response) => {
  console.log("from " + request.socket.remoteAddress);
  require("node:fs").createReadStream(file).pipe(response);
}).listen(Number(port), address, () => console.log("ready"));
`;

/** The rclone that nodes get (the machine's own where that was not built) as an archive "on the internet": the API server and hosts with egress reach it. */
export interface RcloneArchive {
  readonly pin: MounterPin;
  /** Addresses that have fetched it, in order. */
  askers(): readonly string[];
  stop(): void;
}

export async function serveRclone(fleet: Fleet): Promise<RcloneArchive> {
  const file = join(fleet.root, "rclone-test.zip");
  const { path, version } = rcloneToServe();
  const { size, mtimeMs } = statSync(path);
  const program = {
    kind: "file",
    name: PROGRAM,
    path,
    mode: 0o755,
    modifiedMs: mtimeMs,
    size,
  } as const;
  await writeZip(file, [program]);
  let output = "";
  const onOutput = (text: string): void => void (output += text);
  const command = [process.execPath, "-e", SERVER, OUTSIDE, String(PORT), file];
  const server = fleet.start(command, { onOutput, timeoutMs: 3_600_000 });
  await waitFor("the archive's server", () => output.includes("ready"));
  const sha256 = createHash("sha256").update(readFileSync(file)).digest("hex");
  const url = `http://${OUTSIDE}:${PORT}/rclone-test.zip`;
  return {
    pin: { arch: process.arch, version, url, sha256, program: PROGRAM },
    askers: () => Array.from(output.matchAll(/^from (.*)$/gmu), ([, address = ""]) => address),
    stop: () => server.kill("SIGKILL"),
  };
}

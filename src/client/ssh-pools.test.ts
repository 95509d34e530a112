import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WireServer } from "../../test/fakes/wire-server.ts";
import { SkyClient } from "./sky-client.ts";
import { sendPools } from "./ssh-pools.ts";

let home: string;
let server: WireServer;
let names: string[];

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "sky-pools-"));
  names = [];
  server = await WireServer.start({
    routes: {
      "POST /ssh_node_pools/keys": ({ headers, body }, response) => {
        // The server takes no form that does not say how long it is.
        if (headers["content-length"] === undefined) throw new Error("no Content-Length");
        const name = /name="key_name"\r\n\r\n(.*)\r\n/u.exec(String(body["bytes"]))?.[1] ?? "";
        names.push(name);
        response.end(JSON.stringify({ status: "success", key_path: `/server/${name}` }));
        return undefined;
      },
      "POST /ssh_node_pools": (_call, response) => {
        response.end(JSON.stringify({ status: "success" }));
        return undefined;
      },
    },
  });
});
afterEach(async () => {
  await server.stop();
  rmSync(home, { recursive: true, force: true });
});

test("a key of many hosts is sent once, and keys of one name are kept apart", async () => {
  for (const folder of ["one", "two"]) {
    mkdirSync(join(home, folder));
    writeFileSync(join(home, folder, "id"), `key of ${folder}\n`);
  }
  const hosts = ["one", "two", "one", "one"].map(
    (folder, at) => `    - {ip: 10.0.0.${at}, identity_file: ~/${folder}/id}\n`,
  );
  writeFileSync(join(home, "pools.yaml"), `lab:\n  hosts:\n${hosts.join("")}`);
  const env = { HOME: home, SKYPILOT_API_SERVER_ENDPOINT: server.url };
  await using client = new SkyClient({ env, home, cwd: home });
  await sendPools(client, { file: "pools.yaml", home, cwd: home });
  expect(names.toSorted()).toEqual(["lab-2-id", "lab-id"]);
  const [sent] = server.bodies("/ssh_node_pools");
  const files = (sent as { lab: { hosts: { identity_file: string }[] } }).lab.hosts.map((host) => host.identity_file);
  expect(files).toEqual(["/server/lab-id", "/server/lab-2-id", "/server/lab-id", "/server/lab-id"]);
});

/**
 * EC2's instance metadata (version 2) of one host: `node metadata-server.ts FILE`. It answers with the JSON object in FILE, path by
 * path as it is at that moment, and refuses whoever has no token. Facts: the pages named in src/agent/preemption/ec2-notices.ts.
 */

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const [, , file = ""] = process.argv;
const token = randomUUID();

createServer((request, response) => {
  const path = request.url ?? "";
  if (request.method === "PUT" && path === "/latest/api/token") {
    response.end(token);
    return;
  }
  if (request.headers["x-aws-ec2-metadata-token"] !== token) {
    response.writeHead(401).end();
    return;
  }
  const values = JSON.parse(readFileSync(file, "utf8")) as Readonly<Record<string, unknown>>;
  const value = values[path.replace("/latest/meta-data/", "")];
  if (value === undefined) response.writeHead(404).end("not found");
  else response.end(JSON.stringify(value));
}).listen(80, "169.254.169.254", () => process.stdout.write("ready\n"));

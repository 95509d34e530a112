/**
 * A package registry outside the fleet, from which a node with egress can fetch its runtime: serves what npm's cache on this machine
 * holds of the packages that were named. `node registry.ts <address> <port> <JSON of packages>`; prints "ready".
 */
import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import type { RegistryPackage } from "../registry.ts";

const [address = "", port = "", json = "[]"] = process.argv.slice(2);
const packages = JSON.parse(json) as readonly RegistryPackage[];

createServer((request, response) => {
  const path = decodeURIComponent(request.url ?? "/");
  process.stdout.write(`${request.method} ${path}\n`);
  for (const { name, version, integrity, file } of packages) {
    const tarball = `/${name}/-/${name}-${version}.tgz`;
    if (path === tarball) {
      response.writeHead(200, { "content-type": "application/octet-stream" });
      createReadStream(file).pipe(response);
      return;
    }
    if (path === `/${name}` || path === `/${name}/${version}`) {
      const dist = { integrity, tarball: `http://${address}:${port}${tarball}` };
      const versions = { [version]: { name, version, dist } };
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ name, "dist-tags": { latest: version }, versions }));
      return;
    }
  }
  response.writeHead(404).end("Not found\n");
}).listen(Number(port), address, () => process.stdout.write("ready\n"));

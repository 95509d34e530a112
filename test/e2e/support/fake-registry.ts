import { createReadStream, readFileSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

export interface FakeRegistry {
  /** `127.0.0.1:port`. */
  readonly host: string;
  /** Paths that were asked for with the right login. */
  readonly served: readonly string[];
  close(): void;
}

/** A registry with one image, in the layout of `podman save --format oci-dir`, for those who log in. */
export async function startRegistry(
  layout: string,
  login: { readonly username: string; readonly password: string },
): Promise<FakeRegistry> {
  const expected = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString("base64")}`;
  const served: string[] = [];
  const server = createServer((request, response) => {
    if (request.headers.authorization !== expected) {
      response.writeHead(401, { "www-authenticate": 'Basic realm="registry"' }).end();
      return;
    }
    served.push(request.url ?? "");
    answer(request.url ?? "", layout, response);
  });
  await listen(server);
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    served,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
}

interface Manifests {
  readonly manifests: readonly { readonly digest: string; readonly mediaType: string }[];
}

function answer(url: string, layout: string, response: ServerResponse): void {
  const [, kind, name] = /\/(manifests|blobs)\/([^/]+)$/.exec(url) ?? [];
  if (kind === undefined || name === undefined) {
    response.writeHead(200).end();
    return;
  }
  const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")) as Manifests;
  const manifest = index.manifests[0];
  const digest = kind === "manifests" ? (manifest?.digest ?? "") : name;
  const type = kind === "manifests" ? (manifest?.mediaType ?? "") : "application/octet-stream";
  response.writeHead(200, { "content-type": type, "docker-content-digest": digest });
  createReadStream(join(layout, "blobs", digest.replace(":", "/"))).pipe(response);
}

/** The server's uploader in a process of its own: `node storage-upload.ts DIRECTORY BUCKET PREFIX`, with the server's URL and keys in the environment. */
import { join } from "node:path";
import type { UploadFile } from "../src/core/ports/object-store.ts";
import { serviceAccess } from "../src/clouds/aws/service-access.ts";
import { walkTree } from "../src/core/files/walk.ts";
import { createS3Store } from "../src/stores/s3/store.ts";

const { env } = process;
const [directory = "", bucket = "", prefix = ""] = process.argv.slice(2);
const keys = { accessKeyId: env["AWS_ACCESS_KEY_ID"] ?? "", secretAccessKey: env["AWS_SECRET_ACCESS_KEY"] ?? "" };
const session = {
  credentials: () => Promise.resolve(keys),
  region: "us-east-1",
  endpoint: () => env["AWS_ENDPOINT_URL_S3"],
};
const { signal } = new AbortController();
const context = { workspace: "default", config: {}, env: {}, signal };
const store = createS3Store(() => Promise.resolve(serviceAccess(session, "s3")));
const files: UploadFile[] = [];
for await (const entry of walkTree(directory, { ignoreFilesFrom: "/", onSkipped: () => undefined, signal })) {
  if (entry.kind !== "file") continue;
  const { path: key, size, mtimeMs } = entry;
  files.push({ path: join(directory, key), key, size, mtimeMs });
}
await store.upload({ bucket, region: "us-east-1", prefix }, files, { context });

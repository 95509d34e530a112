import { createHash } from "node:crypto";
import type { S3Client } from "@aws-sdk/client-s3";

const STEP = { step: "build", name: "md5Deletes", priority: "low" } as const;

/**
 * Gives calls that delete many objects the checksum that S3 wanted first, in place of the SDK's. MinIO, GCS and others ask for it alone:
 * https://github.com/aws/aws-sdk-js-v3/issues/6920
 */
export function sendMd5OfDeletes(client: S3Client): void {
  client.middlewareStack.add(
    (next, { commandName }) =>
      (args) => {
        const { request } = args;
        if (commandName === "DeleteObjectsCommand" && isRequest(request)) {
          const names = Object.keys(request.headers).filter((name) => /^x-amz-(?:sdk-)?checksum-/iu.test(name));
          for (const name of names) Reflect.deleteProperty(request.headers, name);
          request.headers["content-md5"] = createHash("md5").update(request.body).digest("base64");
        }
        return next(args);
      },
    STEP,
  );
}

interface TextRequest {
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array;
}

function isRequest(request: unknown): request is TextRequest {
  if (typeof request !== "object" || request === null || !("headers" in request) || !("body" in request)) return false;
  return typeof request.body === "string" || request.body instanceof Uint8Array;
}

import type { S3Client } from "@aws-sdk/client-s3";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { openS3 } from "../../../src/stores/s3/client.ts";

/** A client of a server that plays S3, with keys that nobody looks at. */
export function clientOf(server: Server): Promise<S3Client> {
  const access = {
    region: "us-east-1",
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    credentials: () => Promise.resolve({ accessKeyId: "a", secretAccessKey: "s", sessionToken: "t" }),
    explainRefusals: () => undefined,
  };
  return openS3(access, "us-east-1");
}

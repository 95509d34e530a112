import { createServer, type Server } from "node:http";
import { afterEach, beforeEach, expect, test } from "vitest";
import { clientOf } from "../../../test/support/s3/client-of.ts";
import { StorageBucketCreateError } from "../../shared/errors.ts";
import { createBucket } from "./buckets.ts";
import { AMAZON } from "./kind.ts";

let server: Server;
/** What was asked for, in order. */
let calls: string[];
/** How often each call is refused before it is taken. */
let refusals: Map<string, string[]>;

beforeEach(async () => {
  [calls, refusals] = [[], new Map()];
  server = createServer((request, response) => {
    const call = `${request.method} ${request.url?.replace(/^[^?]*\??/u, "").replace(/=?$/u, "")}`;
    calls.push(call);
    request.resume();
    const refused = refusals.get(call)?.shift();
    if (refused !== undefined) response.writeHead(409, { "content-type": "text/xml" });
    response.end(refused === undefined ? "" : `<Error><Code>${refused}</Code><Message>no</Message></Error>`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

async function create(signal = new AbortController().signal): Promise<boolean> {
  const client = await clientOf(server);
  let isMade = false;
  const onMade = (): void => void (isMade = true);
  const wish = { region: "us-east-1", labels: { team: "ml" }, isOnlyRegion: false, onMade, signal };
  await createBucket(client, "b", wish, AMAZON).finally(() => client.destroy());
  return isMade;
}

test("whoever sets up a bucket at the same time is waited for", async () => {
  refusals.set("PUT ", ["OperationAborted"]).set("PUT tagging", ["OperationAborted"]);
  expect(await create()).toBe(true);
  expect(calls).toEqual(["PUT ", "PUT ", "PUT publicAccessBlock", "PUT lifecycle", "PUT tagging", "PUT tagging"]);
});

test("a bucket that is there already is set up all the same", async () => {
  refusals.set("PUT ", ["BucketAlreadyOwnedByYou"]);
  expect(await create()).toBe(true);
  expect(calls).toContain("PUT tagging");
});

test("a bucket of somebody else is left alone", async () => {
  refusals.set("PUT ", ["BucketAlreadyExists"]);
  // A refusal, of which it is known that nothing was made.
  await expect(create()).rejects.toBeInstanceOf(StorageBucketCreateError);
  expect(calls).toEqual(["PUT "]);
});

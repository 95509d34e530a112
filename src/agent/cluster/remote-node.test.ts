import { expect, test } from "vitest";
import { FakeClock } from "../../../test/fakes/fake-clock.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { UploadWait } from "../../shared/agent/upload-wait.ts";
import { RemoteNode, type WorkerPeer } from "./remote-node.ts";
import type { StopNode } from "./worker-protocol.ts";

const FACTS = { index: 1, ip: "10.0.0.2" } as never;

/** A connection of a worker that notes what it is asked. */
class FakePeer {
  readonly asked: StopNode[] = [];
  readonly answer = Promise.withResolvers<object>();
  readonly #end = Promise.withResolvers<Error | undefined>();
  readonly closed = this.#end.promise;
  isClosed = false;

  call(_method: string, params: StopNode): Promise<object> {
    this.asked.push(params);
    return this.answer.promise;
  }

  close(): void {
    this.break();
  }

  break(): void {
    const error = new AgentPeerError("CLOSED", "The connection is gone.");
    this.isClosed = true;
    this.answer.reject(error);
    this.#end.resolve(error);
  }

  get asWorker(): WorkerPeer {
    return this as never;
  }
}

function stopping(uploadWait?: UploadWait): StopNode {
  const wait = uploadWait === undefined ? {} : { uploadWait };
  return { key: "k", hooks: [], power: "none", container: "remove", ...wait };
}

function createNode(): { readonly node: RemoteNode; readonly clock: FakeClock } {
  const clock = new FakeClock();
  return { node: new RemoteNode({ index: 1, graceMs: 60_000, clock, onChange: () => undefined }), clock };
}

test("a wait for uploads that is longer than a worker may be away goes on over its next connection", async () => {
  const { node } = createNode();
  const [first, second] = [new FakePeer(), new FakePeer()];
  node.join(FACTS, first.asWorker);
  const stopped = node.stopNode(stopping("unlimited"));
  await Promise.resolve();
  first.break();
  node.join(FACTS, second.asWorker);
  second.answer.resolve({ lost: ["what"] });
  await expect(stopped).resolves.toEqual({ lost: ["what"] });
  expect([first.asked, second.asked]).toEqual([[stopping("unlimited")], [stopping("unlimited")]]);
});

test("it ends with the worker that does not come back", async () => {
  const { node, clock } = createNode();
  const peer = new FakePeer();
  node.join(FACTS, peer.asWorker);
  const stopped = node.stopNode(stopping(3600));
  stopped.catch(() => undefined);
  await Promise.resolve();
  peer.break();
  await new Promise((resolve) => setImmediate(resolve));
  clock.advance(60_000);
  await expect(stopped).rejects.toThrow("has been unreachable for 60 s");
});

test.each([undefined, 0, 60])("a worker that is away is not waited for when its uploads are for %s s", async (wait) => {
  const { node } = createNode();
  await expect(node.stopNode(stopping(wait))).resolves.toEqual({});
  const peer = new FakePeer();
  node.join(FACTS, peer.asWorker);
  const stopped = node.stopNode(stopping(wait));
  peer.break();
  await expect(stopped).rejects.toThrow("The connection is gone.");
});

import { isConnectionLoss } from "../../shared/agent/peer-error.ts";
import type { Preemption } from "../../shared/agent/protocol.ts";
import type { HeadPeer } from "./dial-head.ts";
import type { NodeHook } from "./worker-protocol.ts";

/** A worker's way to its head, over whichever connection there is. */
export class HeadLink {
  #peer: HeadPeer | undefined;
  #arrival = Promise.withResolvers<HeadPeer>();
  #announced: Preemption | undefined;

  /** The connection of this moment. */
  get peer(): HeadPeer | undefined {
    return this.#peer;
  }

  /** What was announced of this node so far. */
  get announced(): Preemption | undefined {
    return this.#announced;
  }

  /** A connection was let in, or is over. */
  update(peer: HeadPeer | undefined): void {
    if (this.#peer !== undefined) this.#arrival = Promise.withResolvers();
    this.#peer = peer;
    if (peer !== undefined) this.#arrival.resolve(peer);
  }

  /** Tells the head, as soon as it can be reached, what was announced of this node. Answers with what the node is to run. */
  async announce(index: number, preemption: Preemption): Promise<readonly NodeHook[]> {
    this.#announced = preemption;
    for (;;) {
      const peer = await this.#arrival.promise;
      try {
        return (await peer.call("preempting", { index, preemption })).hooks;
      } catch (error) {
        if (!isConnectionLoss(error)) throw error;
        await peer.closed;
        // Whoever keeps the connection learns of its end at the same moment.
        if (this.#peer === peer) this.update(undefined);
      }
    }
  }
}

import { duplexOverStream } from "../../shared/agent/byte-duplex.ts";
import { AgentPeer } from "../../shared/agent/peer.ts";
import type { NodeConfig, Preemption } from "../../shared/agent/protocol.ts";
import type { Clock } from "../../shared/clock.ts";
import { describeError, type AgentLog } from "../node/agent-log.ts";
import { AGENT_VERSION } from "../version.ts";
import { factsOf } from "./members.ts";
import type { CutOff } from "./cut-off.ts";
import { connectPsk, HeadSilentError } from "./tls-psk.ts";
import { WORKER_KEEPALIVE_MS, type HeadMethods, type HeadStreams } from "./worker-protocol.ts";

export interface DialOptions {
  /** Read again for each dial: the head's address may have changed. */
  readonly readConfig: () => NodeConfig;
  readonly methods: object;
  readonly streams: object;
  /** What the node's provider has announced so far. */
  readonly preemption: () => Preemption | undefined;
  /** Told of each connection to the head, and of its end. */
  readonly onPeer: (peer: HeadPeer | undefined) => void;
  /** Called after each join with the jobs whose tasks go on. */
  readonly onJoined: (jobIds: readonly number[]) => Promise<void>;
  /** Told of what is heard of the head's machine. */
  readonly cutOff: CutOff;
  readonly clock: Clock;
  readonly log: AgentLog;
  /** 0…1, to spread the reconnections of many workers. */
  readonly random: () => number;
}

export type HeadPeer = AgentPeer<HeadMethods, HeadStreams>;

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;

/** Keeps this worker joined to its head until the signal aborts. Ranks go on when the connection breaks, until `cutOff` ends them. */
export async function stayJoined(options: DialOptions, signal: AbortSignal): Promise<void> {
  const { clock, log, random, cutOff } = options;
  let pauseMs = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      await joinOnce(options, signal);
      pauseMs = FIRST_PAUSE_MS;
      cutOff.heard();
    } catch (error) {
      log.info("head not reached", describeError(error));
      if (error instanceof HeadSilentError) await cutOff.missed();
      else cutOff.heard();
    }
    await clock.sleep(pauseMs * (0.5 + random() / 2), { signal }).catch(() => undefined);
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

/** Resolves when the connection that was joined is over. */
async function joinOnce(options: DialOptions, signal: AbortSignal): Promise<void> {
  const { methods, streams, log, onJoined } = options;
  const config = options.readConfig();
  if (config.head === undefined) throw new Error("A worker needs the head's address.");
  const socket = await connectPsk(config, config.head);
  const peer: HeadPeer = new AgentPeer<HeadMethods, HeadStreams>(duplexOverStream(socket), {
    role: "dialer",
    methods,
    streams,
    keepaliveMs: WORKER_KEEPALIVE_MS,
    onHandlerError: (method, error) => log.error("head's request failed", { method, ...describeError(error) }),
  });
  const close = (): void => peer.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    const preemption = options.preemption();
    const { jobIds } = await peer.call("join", {
      ...factsOf(config),
      version: AGENT_VERSION,
      ...(preemption === undefined ? {} : { preemption }),
    });
    log.info("joined the head");
    options.onPeer(peer);
    await onJoined(jobIds);
    await peer.closed;
    log.info("head lost");
  } finally {
    signal.removeEventListener("abort", close);
    options.onPeer(undefined);
    peer.close();
  }
}

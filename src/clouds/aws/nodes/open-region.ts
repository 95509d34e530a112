import type { CloudContext } from "../../../core/ports/cloud.ts";
import type { Clock } from "../../../shared/clock.ts";
import type { AwsAuth } from "../auth/auth-session.ts";
import { openClients, type AwsClients } from "../clients.ts";
import type { Region } from "./region.ts";

/** Clients of a request are used again by its next calls; credentials that change meanwhile count after this time. */
const CLIENTS_MS = 30_000;

/** Who calls, and where. */
export interface OpenRegion extends Region {
  /** ARN of the caller. */
  readonly principal: string;
}

/** Opens regions for requests: their credentials, their signal. */
export class RegionOpener {
  readonly #auth: AwsAuth;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #clients = new WeakMap<AbortSignal, Map<string, { readonly clients: AwsClients; readonly atMs: number }>>();

  constructor(auth: AwsAuth, clock: Clock, random: () => number) {
    this.#auth = auth;
    this.#clock = clock;
    this.#random = random;
  }

  /** Without a name: the region of the credentials. Throws AwsAuthError when the credentials cannot be used. */
  async open(name: string | undefined, context: CloudContext): Promise<OpenRegion> {
    context.signal.throwIfAborted();
    const opened = this.#auth.open(context);
    const { account, arn } = await opened.identity();
    return {
      name: name ?? opened.session.region,
      account,
      principal: arn,
      clients: this.#clientsOf(context, () => openClients({ ...opened.session, maxAttempts: 1 })),
      clock: this.#clock,
      signal: context.signal,
      random: this.#random,
      say: context.say ?? (() => undefined),
    };
  }

  #clientsOf(context: CloudContext, open: () => AwsClients): AwsClients {
    const ofRequest = this.#clients.get(context.signal) ?? new Map<string, { clients: AwsClients; atMs: number }>();
    this.#clients.set(context.signal, ofRequest);
    const known = ofRequest.get(context.workspace);
    const now = this.#clock.now();
    if (known !== undefined && now - known.atMs < CLIENTS_MS) return known.clients;
    const clients = open();
    ofRequest.set(context.workspace, { clients, atMs: now });
    return clients;
  }
}

import { createHash } from "node:crypto";
import type { CloudContext } from "../../../core/ports/cloud.ts";
import type { Clock } from "../../../shared/clock.ts";
import type { AwsAuth } from "../auth/auth-session.ts";
import { openClients, type AwsClients } from "../clients.ts";
import { Kept } from "./kept.ts";
import type { Region } from "./region.ts";

/** Callers with the same rights use the same clients; credentials that change meanwhile count after this time. */
const CLIENTS_MS = 30_000;

/** Opens regions for requests: their credentials, their signal. */
export class RegionOpener {
  readonly #auth: AwsAuth;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #clients: Kept<AwsClients>;

  constructor(auth: AwsAuth, clock: Clock, random: () => number) {
    this.#auth = auth;
    this.#clock = clock;
    this.#random = random;
    this.#clients = new Kept(clock, CLIENTS_MS);
  }

  /** Without a name: the region of the credentials. Throws AwsAuthError when the credentials cannot be used. */
  async open(name: string | undefined, context: CloudContext): Promise<Region> {
    context.signal.throwIfAborted();
    const opened = this.#auth.open(context);
    const { account, arn } = await opened.identity();
    return {
      name: name ?? opened.session.region,
      account,
      principal: arn,
      clients: await this.#clients.get(keyOf(context, arn), () => this.#openClients(context)),
      clock: this.#clock,
      signal: context.signal,
      random: this.#random,
      say: context.say ?? (() => undefined),
    };
  }

  /** They outlive the request that needs them first. */
  #openClients(context: CloudContext): Promise<AwsClients> {
    const { session } = this.#auth.open({ ...context, signal: new AbortController().signal });
    return Promise.resolve(openClients({ ...session, maxAttempts: 1 }));
  }
}

/** Everything that decides who calls, and by which way; the variables may hold keys. */
function keyOf({ workspace, env, config }: CloudContext, arn: string): string {
  return createHash("sha256")
    .update(JSON.stringify([arn, workspace, env, config]))
    .digest("hex");
}

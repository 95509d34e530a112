import type { Cloud, CloudContext } from "../../core/ports/cloud.ts";
import { systemClock, type Clock } from "../../shared/clock.ts";
import { NotSupportedError } from "../../shared/errors.ts";
import { r2Access, type CloudflareEnvironment } from "./access.ts";
import { checkCloudflare } from "./check.ts";

const RUNS_NOTHING = "Cloudflare holds buckets (R2) and runs no nodes";

function refuse(): Promise<never> {
  return Promise.reject(new NotSupportedError(`${RUNS_NOTHING}.`));
}

/** Cloudflare R2: buckets that are spoken to as those of S3. */
export function createCloudflareCloud(options: {
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock?: Clock;
}): Cloud {
  const clock = options.clock ?? systemClock;
  const environmentOf = ({ env }: CloudContext): CloudflareEnvironment => ({
    home: options.home,
    env: { ...options.env, ...env },
    nowMs: () => clock.now(),
  });
  return {
    name: "cloudflare",
    displayName: "Cloudflare",
    wireInfra: () => "cloudflare",
    power: "leave",
    hasNodes: false,
    isStoreOnly: true,
    checksOverNetwork: true,
    maxNameLength: 0,
    check: (context) => checkCloudflare(environmentOf(context), context),
    identity: () => Promise.resolve(null),
    serviceAccess: (_service, context) => r2Access(environmentOf(context), context),
    offers: () =>
      Promise.resolve({ offers: [], rejected: [{ what: "Cloudflare", reason: RUNS_NOTHING }], suggestions: [] }),
    run: refuse,
    query: refuse,
    terminate: refuse,
    runner: refuse,
  };
}

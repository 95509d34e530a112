import type { Cloud, CloudContext, CredentialSummary, Offer } from "../../core/ports/cloud.ts";
import { systemClock, type Clock } from "../../shared/clock.ts";
import { NotAvailableYetError } from "../../shared/errors.ts";
import { checkGcp, openGoogle } from "./check.ts";
import { findCredentials } from "./credentials.ts";
import { NoGoogleCredentialsError } from "./errors.ts";
import type { GoogleEnvironment } from "./gcloud-config.ts";

const NOT_YET = "GCP nodes are not available yet";

function notYet(): Promise<never> {
  return Promise.reject(new NotAvailableYetError(`${NOT_YET}.`));
}

/** Google Cloud: who the caller is and what the project allows; nodes come later. */
export function createGcpCloud(options: {
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock?: Clock;
}): Cloud {
  const clock = options.clock ?? systemClock;
  const environmentOf = (context: CloudContext): GoogleEnvironment => ({
    home: options.home,
    env: { ...options.env, ...context.env },
  });
  const noOffers: readonly Offer[] = [];
  return {
    name: "gcp",
    displayName: "GCP",
    wireInfra: (region, zone) => ["gcp", region, zone ?? ""].filter((part) => part !== "").join("/"),
    power: "poweroff",
    hasNodes: false,
    checksOverNetwork: true,
    maxNameLength: 35,
    check: (context) => checkGcp(environmentOf(context), { clock, signal: context.signal }),
    identity: async (context) => {
      const { identity } = await openGoogle(environmentOf(context), { clock, signal: context.signal });
      return [`${identity.account} [project_id=${identity.project}]`];
    },
    credentials: (context) => summarize(environmentOf(context)),
    offers: () => Promise.resolve({ offers: noOffers, rejected: [{ what: "GCP", reason: NOT_YET }], suggestions: [] }),
    run: notYet,
    query: notYet,
    terminate: notYet,
    runner: notYet,
  };
}

async function summarize(environment: GoogleEnvironment): Promise<CredentialSummary | null> {
  try {
    const { kind, source } = await findCredentials(environment);
    return { kind, source };
  } catch (error) {
    if (error instanceof NoGoogleCredentialsError) return null;
    throw error;
  }
}

import type { Catalogs } from "../../catalog/catalogs.ts";
import type { Cloud, CloudContext, CredentialSummary } from "../../core/ports/cloud.ts";
import { systemClock, type Clock } from "../../shared/clock.ts";
import { NotAvailableYetError } from "../../shared/errors.ts";
import { AwsAuth } from "./auth/auth-session.ts";
import { stableIdentity } from "./auth/identity.ts";
import { checkAws } from "./check.ts";
import type { OpenSession } from "./command-args.ts";
import { AwsAuthError } from "./errors.ts";
import { awsOffers } from "./offers.ts";
import { policyCommand } from "./policy/command.ts";
import { permissionsCommand } from "./preflight/command.ts";
import { setupCommand } from "./setup/command.ts";
import { configureSsoCommand } from "./sso/configure-command.ts";
import { loginCommand } from "./sso/login-command.ts";

function notYet(): Promise<never> {
  return Promise.reject(new NotAvailableYetError("AWS nodes are not available yet."));
}

/** Amazon Web Services: who the caller is and what the account allows; nodes come later. */
export function createAwsCloud(options: {
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly catalogs: Catalogs;
  readonly clock?: Clock;
}): Cloud {
  const auth = new AwsAuth({ ...options, clock: options.clock ?? systemClock });
  const open: OpenSession = (context, wish) => auth.open(context, wish);
  return {
    name: "aws",
    displayName: "AWS",
    wireInfra: (region, zone) => ["aws", region, zone ?? ""].filter((part) => part !== "").join("/"),
    power: "poweroff",
    hasNodes: false,
    canPlan: true,
    checksOverNetwork: true,
    maxNameLength: 248,
    check: (context, options) => checkAws(auth, context, options),
    identity: async (context) => stableIdentity(await auth.open(context).identity()),
    credentials: (context) => summarize(auth, context),
    knownCredentials: (context) => known(auth, context),
    offers: (request) => {
      const catalog = options.catalogs.find("aws");
      if (catalog === undefined) throw new Error("The catalog of AWS is missing.");
      return Promise.resolve(awsOffers(request, catalog));
    },
    run: notYet,
    query: notYet,
    terminate: notYet,
    runner: notYet,
    commands: {
      login: loginCommand(auth),
      "configure-sso": configureSsoCommand(auth),
      permissions: permissionsCommand(open),
      policy: policyCommand(open),
      setup: setupCommand(open),
    },
  };
}

async function summarize(auth: AwsAuth, context: CloudContext): ReturnType<NonNullable<Cloud["credentials"]>> {
  try {
    return await auth.open(context).summary();
  } catch (error) {
    if (error instanceof AwsAuthError && error.failure === "no-credentials") return null;
    throw error;
  }
}

/** Credentials that cannot even be found have no time left to show; `check` says why. */
function known(auth: AwsAuth, context: CloudContext): CredentialSummary | undefined {
  try {
    return auth.open(context).known();
  } catch (error) {
    if (error instanceof AwsAuthError) return undefined;
    throw error;
  }
}

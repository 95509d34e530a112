import type { Catalogs } from "../../catalog/catalogs.ts";
import type {
  Cloud,
  CloudCommand,
  CloudContext,
  CredentialSummary,
  LendWish,
  LentCredentials,
  OfferSet,
} from "../../core/ports/cloud.ts";
import { systemClock, type Clock } from "../../shared/clock.ts";
import { createSshTools } from "../../runners/ssh/tools.ts";
import { AwsAuth } from "./auth/auth-session.ts";
import { stableIdentity } from "./auth/identity.ts";
import { isObject } from "./auth/json.ts";
import { openAgents, send } from "./auth/network.ts";
import { DiskPrices } from "./catalog/disk-prices.ts";
import { awsCatalogRefresher } from "./catalog/refresher.ts";
import { ZoneNames } from "./catalog/zone-refresh.ts";
import { checkAws } from "./check.ts";
import { ecrRegistryOf, fetchEcrLogin } from "./ecr-login.ts";
import { awsConfig, type OpenSession } from "./command-args.ts";
import { AwsAuthError } from "./errors.ts";
import { withExtras } from "./extras.ts";
import type { AwsNodes } from "./nodes/nodes.ts";
import { lazyNodes } from "./nodes/lazy.ts";
import type { FetchText } from "./nodes/own-address.ts";
import { lendCredentials } from "./lend.ts";
import { CONSISTENCY_MS, whyNoStop } from "./nodes/traits.ts";
import { awsOffers } from "./offers.ts";
import { policyCommand } from "./policy/command.ts";
import { permissionsCommand } from "./preflight/command.ts";
import { publicAccess, serviceAccess } from "./service-access.ts";
import { setupCommand } from "./setup/command.ts";
import { doorPathOf } from "./ssm/door-path.ts";
import { userProxyCommands } from "./ssm/user-command.ts";
import { configureSsoCommand } from "./sso/configure-command.ts";
import { loginCommand } from "./sso/login-command.ts";

interface AwsCloudOptions {
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly catalogs: Catalogs;
  /** How other programs call this package's `sky`; the one in PATH when absent. */
  readonly skyProgram?: readonly string[];
  readonly clock?: Clock;
}

/** Amazon Web Services: who the caller is, what the account allows, and nodes on EC2. */
export function createAwsCloud(options: AwsCloudOptions): Cloud {
  const clock = options.clock ?? systemClock;
  const auth = new AwsAuth({ ...options, clock });
  const diskPrices = new DiskPrices(options.catalogs.directory);
  const zoneNames = new ZoneNames(auth, options.catalogs);
  const { skyProgram = ["sky"] } = options;
  const { withPrepaid, ssmDoor, ...nodes } = lazyNodes({
    auth,
    clock,
    fetchText: textFetcher(auth),
    env: options.env,
    skyProgram,
    doorPath: doorPathOf(options.home),
    ...createSshTools(options),
  });
  return {
    name: "aws",
    displayName: "AWS",
    wireInfra: (region, zone) => ["aws", region, zone ?? ""].filter((part) => part !== "").join("/"),
    power: "poweroff",
    notices: "ec2",
    checksOverNetwork: true,
    maxNameLength: 248,
    check: async (context, wish) => {
      const result = await checkAws(auth, context, {
        ...wish,
        onZones: (account, zones) => zoneNames.remember(account, zones),
      });
      if (wish?.isFull === true && result.enabled.includes("compute")) await zoneNames.refresh(context);
      return result;
    },
    identity: async (context) => stableIdentity(await auth.open(context).identity()),
    credentials: (context) => summarize(auth, context),
    knownCredentials: (context) => known(auth, context),
    serviceAccess: (service, context) => {
      if (context.isAnonymous === true) return publicAccess(auth.openPublic(context), service);
      const opened = auth.open(context);
      const lend = (wish: LendWish): Promise<LentCredentials> => lendCredentials(opened, wish, context);
      return { ...serviceAccess(opened.session, service), lend };
    },
    offers: offersFrom({ auth, catalogs: options.catalogs, zoneNames, diskPrices, withPrepaid }),
    registryLogin: (image, context) => registryLogin(auth, image, context),
    consistencyMs: CONSISTENCY_MS,
    whyNoStop,
    ...nodes,
    sshProxyCommands: (cluster, context, instances) =>
      Promise.resolve(userProxyCommands({ cluster, context, instances }, { auth, skyProgram })),
    refreshCatalog: awsCatalogRefresher(auth, options.catalogs, diskPrices),
    commands: commandsOf(auth, ssmDoor),
  };
}

interface OfferSources {
  readonly auth: AwsAuth;
  readonly catalogs: Catalogs;
  readonly zoneNames: ZoneNames;
  readonly diskPrices: DiskPrices;
  readonly withPrepaid: AwsNodes["withPrepaid"];
}

function offersFrom({ auth, catalogs, zoneNames, diskPrices, withPrepaid }: OfferSources): Cloud["offers"] {
  return async (request, context) => {
    const account = knownAccount(auth, context);
    const named = account === undefined ? undefined : await zoneNames.prepare(account, request, context);
    const catalog = catalogs.find("aws", {
      ...(account === undefined ? {} : { account }),
      ...(named === undefined ? {} : { zoneNames: named }),
    });
    if (catalog === undefined) throw new Error("The catalog of AWS is missing.");
    const set = inProxiedRegions(awsOffers(request, catalog), context);
    const offers = await withPrepaid(set.offers, context);
    return withExtras({ ...set, offers }, request, {
      config: context.config,
      diskPrice: (region) => diskPrices.find(region),
    });
  };
}

function commandsOf(auth: AwsAuth, ssmDoor: CloudCommand): NonNullable<Cloud["commands"]> {
  const open: OpenSession = (context, wish) => auth.open(context, wish);
  return {
    login: loginCommand(auth),
    "configure-sso": configureSsoCommand(auth),
    permissions: permissionsCommand(open),
    policy: policyCommand(open),
    setup: setupCommand(open),
    "ssm-door": ssmDoor,
  };
}

/** A proxy command by region leads to those regions alone. */
function inProxiedRegions(set: OfferSet, context: CloudContext): OfferSet {
  const byRegion = awsConfig(context)["ssh_proxy_command"];
  if (!isObject(byRegion)) return set;
  const offers = set.offers.filter(({ region }) => Object.hasOwn(byRegion, region));
  if (offers.length > 0 || set.offers.length === 0) return { ...set, offers };
  const named = Object.keys(byRegion).join(", ");
  const reason = `aws.ssh_proxy_command leads to none of its regions (it names ${named})`;
  return { ...set, offers, rejected: [...set.rejected, { what: set.offers[0]?.instanceType ?? "", reason }] };
}

const FETCH_MS = 5_000;

/** Reads a page of the internet as the server sees it. */
function textFetcher(auth: AwsAuth): FetchText {
  return async (url, signal) => {
    const agents = openAgents(auth.environmentOf({ env: {} }));
    const answer = await send({ url, method: "GET", timeoutMs: FETCH_MS }, { agents, time: auth.time, signal });
    return answer.text;
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

/** Nodes may have logins of their own, so nothing is wrong when there are no credentials here. */
async function registryLogin(
  auth: AwsAuth,
  image: string,
  context: CloudContext,
): ReturnType<NonNullable<Cloud["registryLogin"]>> {
  const registry = ecrRegistryOf(image);
  if (registry === undefined) return undefined;
  try {
    return await fetchEcrLogin(registry, auth.open(context));
  } catch (error) {
    if (error instanceof AwsAuthError && error.failure === "no-credentials") return undefined;
    throw error;
  }
}

/** Zones have names by account. Without an account the newest names that are known will do. */
function knownAccount(auth: AwsAuth, context: CloudContext): string | undefined {
  try {
    return auth.open(context).knownAccount();
  } catch (error) {
    if (error instanceof AwsAuthError) return undefined;
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

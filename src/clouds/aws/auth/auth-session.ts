import type { CloudContext, CredentialSummary } from "../../../core/ports/cloud.ts";
import type { Clock } from "../../../shared/clock.ts";
import { orAborted } from "../../../shared/or-aborted.ts";
import type { AwsSession } from "../clients.ts";
import { AwsAuthError } from "../errors.ts";
import { CredentialCache } from "./credential-cache.ts";
import { awsEndpoint, configuredEndpoint, configuredRegion } from "./endpoints.ts";
import { overlayEnv, profileVariable, type AwsEnvironment } from "./environment.ts";
import { isObject, textField } from "./json.ts";
import { loadCredentials } from "./load.ts";
import type { LoadContext } from "./load-context.ts";
import { NoMetadataError } from "./load-instance.ts";
import { openAgents } from "./network.ts";
import type { ResolveInput } from "./resolve-profile.ts";
import { nothingFound, resolveSource } from "./resolve.ts";
import { ServerTime } from "./server-time.ts";
import { SharedFileReader, type SharedFiles } from "./shared-files.ts";
import { describeSource, profileOf, type Credentials, type Source } from "./source.ts";
import { getCallerIdentity, type CallerIdentity } from "./sts.ts";
import { explainStsError } from "./sts-errors.ts";

/** Connections to one service at a time: enough to hide its latency with small objects. */
const MAX_SOCKETS = 64;
const DEFAULT_REGION = "us-east-1";
const IDENTITY_TTL_MS = 5 * 60_000;
/** Others may wait for the same load, so it has a limit of its own instead of one caller's signal. */
const LOAD_TIMEOUT_MS = 120_000;

export interface OpenOptions {
  /** Instead of the profile that the request's config and variables name. */
  readonly profile?: string;
  readonly askMfa?: NonNullable<LoadContext["askMfa"]>;
}

/** The credentials of one request, found but not yet loaded. */
export interface AuthSession {
  readonly source: Source;
  readonly files: SharedFiles;
  /** The profile in effect, `default` when none is named. */
  readonly profile: string;
  /** Undefined when neither variables nor profile set one. */
  readonly region: string | undefined;
  readonly load: LoadContext;
  /** For the clients of AWS's services. */
  readonly session: AwsSession;
  credentials(): Promise<Credentials>;
  /** Of the source with which a role is assumed. */
  credentialsOf(base: Source): Promise<Credentials>;
  /** Asks STS when the last answer is older than 5 minutes, or with `isFresh` in any case. */
  identity(options?: { readonly isFresh?: boolean }): Promise<CallerIdentity>;
  summary(): Promise<CredentialSummary>;
  /** The account that the last answer of STS named for the credentials in memory. Asks nobody. */
  knownAccount(): string | undefined;
  /** The summary of what is in memory; undefined when nothing was loaded yet. Asks nobody. */
  known(): CredentialSummary | undefined;
}

/** Credentials and identities of every request of this server, each found with that request's own variables. */
export class AwsAuth {
  readonly time: ServerTime;
  readonly #home: string;
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #reader = new SharedFileReader();
  readonly #cache: CredentialCache;
  readonly #identities = new Map<string, { readonly identity: CallerIdentity; readonly atMs: number }>();

  constructor(options: { readonly home: string; readonly env: AwsEnvironment["env"]; readonly clock: Clock }) {
    this.#home = options.home;
    this.#env = options.env;
    this.time = new ServerTime(options.clock);
    this.#cache = new CredentialCache(this.time);
  }

  environmentOf(context: Pick<CloudContext, "env">): AwsEnvironment {
    return { home: this.#home, env: overlayEnv(this.#env, context.env) };
  }

  readFiles(environment: AwsEnvironment): SharedFiles {
    return this.#reader.read(environment);
  }

  /** For calls without credentials. */
  openPublic(context: CloudContext): Omit<AwsSession, "credentials"> {
    const environment = this.environmentOf(context);
    const files = this.readFiles(environment);
    const profile = configuredProfileOf(context) ?? profileVariable(environment) ?? "default";
    return placeOf({ environment, files, profile });
  }

  /** Finds where the request's credentials come from. Throws AwsAuthError. */
  open(context: Omit<CloudContext, "isLocalClient">, options: OpenOptions = {}): AuthSession {
    const environment = this.environmentOf(context);
    const files = this.readFiles(environment);
    const configuredProfile = options.profile ?? configuredProfileOf(context);
    const input: ResolveInput = {
      files,
      environment,
      ...(configuredProfile === undefined ? {} : { configuredProfile }),
    };
    const source = resolveSource(input);
    const profile = configuredProfile ?? profileVariable(environment) ?? "default";
    const region = configuredRegion(environment, files, profile);
    const load = this.loadContext(environment, { files, profile, region, signal: context.signal, ...options });
    const credentials = (): Promise<Credentials> => orAborted(this.#load(source, input, load), context.signal);
    return {
      source,
      files,
      profile,
      region,
      load,
      session: {
        ...placeOf({ environment, files, profile }),
        credentials: async () => toSdk(await credentials()),
      },
      credentials,
      credentialsOf: (base) => orAborted(this.#load(base, input, load), context.signal),
      identity: (wish) => this.#identity(source, load, { credentials, isFresh: wish?.isFresh ?? false }),
      summary: async () => summarize(source, await credentials(), { profile, region }),
      knownAccount: () => {
        const held = this.#cache.peek(source, scopeOf(load));
        return held === undefined ? undefined : this.#identities.get(held.accessKeyId)?.identity.account;
      },
      known: () => {
        const held = this.#cache.peek(source, scopeOf(load));
        return held === undefined ? undefined : summarize(source, held, { profile, region });
      },
    };
  }

  /** What calls outside of a found source need, such as a login. */
  loadContext(
    environment: AwsEnvironment,
    from: {
      readonly files: SharedFiles;
      readonly profile: string;
      readonly region: string | undefined;
      readonly signal: AbortSignal;
      readonly askMfa?: OpenOptions["askMfa"];
    },
  ): LoadContext {
    const { files, profile } = from;
    return {
      environment,
      agents: openAgents(environment),
      time: this.time,
      region: from.region ?? DEFAULT_REGION,
      endpoint: (service, region) =>
        configuredEndpoint(service, { environment, files, profile }) ?? awsEndpoint(service, region),
      signal: from.signal,
      ...(from.askMfa === undefined ? {} : { askMfa: from.askMfa }),
      credentialsOf: () => Promise.reject(new Error("No credentials are open.")),
    };
  }

  async #load(source: Source, input: ResolveInput, context: LoadContext): Promise<Credentials> {
    const scope = scopeOf(context);
    const shared: LoadContext = {
      ...context,
      signal: AbortSignal.timeout(LOAD_TIMEOUT_MS),
      credentialsOf: (base) => this.#load(base, input, context),
    };
    try {
      return await this.#cache.get(source, scope, () => loadCredentials(source, shared));
    } catch (error) {
      throw error instanceof NoMetadataError ? nothingFound(input, error.message) : error;
    }
  }

  async #identity(
    source: Source,
    context: LoadContext,
    wish: { readonly credentials: () => Promise<Credentials>; readonly isFresh: boolean },
  ): Promise<CallerIdentity> {
    const credentials = await wish.credentials();
    const known = this.#identities.get(credentials.accessKeyId);
    const nowMs = this.time.now();
    if (!wish.isFresh && known !== undefined && nowMs - known.atMs < IDENTITY_TTL_MS) return known.identity;
    try {
      const identity = await getCallerIdentity(credentials, context);
      this.#identities.set(credentials.accessKeyId, { identity, atMs: nowMs });
      return identity;
    } catch (error) {
      this.#identities.delete(credentials.accessKeyId);
      const explained = explainStsError(error, { action: "sts:GetCallerIdentity", source, credentials, context });
      // Keys that AWS has taken back must not be served from memory until their end.
      if (explained instanceof AwsAuthError && explained.failure !== "network") this.#cache.clear();
      throw explained;
    }
  }
}

/** Where AWS is called, whoever calls. */
function placeOf(from: {
  readonly environment: AwsEnvironment;
  readonly files: SharedFiles;
  readonly profile: string;
}): Omit<AwsSession, "credentials"> {
  const { environment, files, profile } = from;
  return {
    region: configuredRegion(environment, files, profile) ?? DEFAULT_REGION,
    endpoint: (service) => configuredEndpoint(service, from),
    openAgents: () => openAgents(environment, { keepAlive: true, maxSockets: MAX_SOCKETS }),
  };
}

/** `workspaces.<name>.aws.profile`; a config that already is the workspace's own has it under `aws`. */
function configuredProfileOf(context: Pick<CloudContext, "config" | "workspace">): string | undefined {
  const workspaces = context.config["workspaces"];
  const own = isObject(workspaces) ? workspaces[context.workspace] : undefined;
  const section = isObject(own) && isObject(own["aws"]) ? own["aws"] : undefined;
  const general = context.config["aws"];
  return textField(section, "profile") ?? textField(isObject(general) ? general : undefined, "profile");
}

function scopeOf({ environment, region, endpoint }: LoadContext): string {
  return [environment.home, region, endpoint("sts", region)].join("\n");
}

function toSdk(credentials: Credentials): Awaited<ReturnType<AwsSession["credentials"]>> {
  return {
    accessKeyId: credentials.accessKeyId,
    secretAccessKey: credentials.secretAccessKey.reveal(),
    ...(credentials.sessionToken === undefined ? {} : { sessionToken: credentials.sessionToken.reveal() }),
    ...(credentials.expiresAtMs === undefined ? {} : { expiration: new Date(credentials.expiresAtMs) }),
  };
}

function summarize(
  source: Source,
  credentials: Credentials,
  from: { readonly profile: string; readonly region: string | undefined },
): CredentialSummary {
  return {
    kind: source.kind,
    source: describeSource(source),
    ...(profileOf(source) === undefined ? {} : { profile: from.profile }),
    ...(from.region === undefined ? {} : { region: from.region }),
    ...(credentials.expiresAtMs === undefined ? {} : { expiresAtMs: credentials.expiresAtMs }),
  };
}

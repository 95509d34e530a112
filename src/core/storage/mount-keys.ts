import type { Kysely } from "kysely";
import { listClusterMounts, setMountRefusal, type ClusterMountRow } from "../../db/queries/cluster-mounts.ts";
import { findCluster, updateCluster, type ClusterRow } from "../../db/queries/clusters.ts";
import type { Database } from "../../db/schema.ts";
import type { LentKeys, MountSpec, MountState } from "../../shared/agent/mounts.ts";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { Clock } from "../../shared/clock.ts";
import { SkyError } from "../../shared/errors.ts";
import { ownCloudContext } from "../clusters/refresh-all.ts";
import { recordEvent } from "../clusters/transition.ts";
import type { CloudContext } from "../ports/cloud.ts";
import type { PlaceKeys, StoreRegistry, StoreType } from "../ports/object-store.ts";
import { mountedPlaces, type MountedPlace } from "./mounted-places.ts";
import { borrowerOf } from "./borrower.ts";

export interface MountKeysOptions {
  readonly db: Kysely<Database>;
  readonly stores: StoreRegistry;
  readonly clock: Clock;
  /** The server's own config, for clusters whose launch it has not seen. */
  readonly config: () => Promise<Readonly<Record<string, unknown>>>;
  readonly onError: (clusterName: string, error: unknown) => void;
}

/** As whom keys are asked for. */
type Asker = Omit<CloudContext, "signal">;

/** How often mounts of a cluster are looked at while the server is connected to it. */
const LOOK_MS = 30_000;
/** Keys are renewed when less than this share of their time is left, so that a server may be away for the rest of it. */
const RENEW_SHARE = 2 / 3;
/** AWS's shortest names of sessions are cut at this. */
const MAX_NAME = 32;

/** Gives the nodes of clusters the keys of their mounts, and new ones before they end. Nothing of them is stored. */
export class MountKeys {
  readonly #options: MountKeysOptions;
  /** By cluster: as whom its mounts were launched, whose variables no file holds. */
  readonly #askers = new Map<string, Asker>();
  /** By cluster and place: how long the keys that it has were to live. */
  readonly #lifetimes = new Map<string, number>();
  /** By cluster and place: how the last keys were got, for logs. */
  readonly #ways = new Map<string, string>();
  readonly #followed = new WeakSet<AgentPeer>();

  constructor(options: MountKeysOptions) {
    this.#options = options;
  }

  /** Renewals ask as this caller from now on. */
  remember(clusterHash: string, context: CloudContext): void {
    const { signal: _, say: _say, ...asker } = context;
    this.#askers.set(clusterHash, asker);
  }

  /** Keys for one mount of a cluster. Throws what the store and its cloud throw. */
  async lend(
    row: ClusterRow,
    mount: { readonly store: string; readonly spec: Omit<MountSpec, "credentials" | "endpoint"> },
    context: CloudContext,
  ): Promise<PlaceKeys> {
    const { spec } = mount;
    const store = await this.#options.stores.load(mount.store as StoreType);
    const wish = { isReadOnly: spec.isReadOnly, sessionName: sessionNameOf(row.name), cluster: borrowerOf(row) };
    const lent = await store.lendKeys(spec, { ...wish, context });
    const { expiration, how, isUncut } = lent.keys;
    this.#ways.set(`${row.cluster_hash} ${spec.dest}`, isUncut === true ? how : `keys for it alone, by ${how}`);
    if (expiration !== undefined) {
      this.#lifetimes.set(`${row.cluster_hash} ${spec.dest}`, expiration.getTime() - this.#options.clock.now());
    }
    return lent;
  }

  /** By which keys a mount's nodes may use its bucket, in words; undefined when this server has lent it none. */
  wayOf(clusterHash: string, dest: string): string | undefined {
    return this.#ways.get(`${clusterHash} ${dest}`);
  }

  /** Sees to the keys of a cluster's mounts, if it has any, as long as the connection to it lasts. */
  async follow(clusterName: string, agent: AgentPeer): Promise<void> {
    const { clock, onError } = this.#options;
    if (this.#followed.has(agent)) return;
    this.#followed.add(agent);
    const left = new AbortController();
    void agent.closed.then(() => left.abort());
    while (!agent.isClosed) {
      const hasMounts = await this.#renew(clusterName, agent, left.signal).catch((error: unknown) => {
        if (!agent.isClosed) onError(clusterName, error);
        return true;
      });
      if (!hasMounts) break;
      await clock.sleep(LOOK_MS, { signal: left.signal }).catch(() => undefined);
    }
    this.#followed.delete(agent);
  }

  /** Whether the cluster has mounts. */
  async #renew(clusterName: string, agent: AgentPeer, signal: AbortSignal): Promise<boolean> {
    const row = await findCluster(this.#options.db, clusterName);
    if (row === undefined) return false;
    const mounts = await listClusterMounts(this.#options.db, row.cluster_hash);
    if (mounts.length === 0) return false;
    const { mounts: states } = await agent.call("mount_states", {}, { signal });
    const asker = this.#askers.get(row.cluster_hash);
    const own = ownCloudContext(row, { config: await this.#options.config(), signal });
    const context = asker === undefined ? own : { ...asker, signal };
    const places = mounts.flatMap((mount) => mountedPlaces(mount).map((place) => ({ ...place, mount })));
    for (const place of places) {
      if (place.spec.credentials !== "lent" || !this.#isDue(row, place.spec, states)) continue;
      await this.#renewOne(row, place, { agent, context });
    }
    return true;
  }

  async #renewOne(
    row: ClusterRow,
    { mount, store, spec }: MountedPlace & { readonly mount: ClusterMountRow },
    to: { readonly agent: AgentPeer; readonly context: CloudContext },
  ): Promise<void> {
    const { agent, context } = to;
    try {
      const { keys } = await this.lend(row, { store, spec }, context);
      const { dest, bucket, prefix } = spec;
      const lent = { dest, bucket, prefix, keys: toLentKeys(keys) };
      await agent.call("lend_keys", { keys: [lent] }, { signal: context.signal });
      if (mount.refused !== null) {
        await setMountRefusal(this.#options.db, mount, null);
        await this.#tell(row, `The keys of ${spec.dest} are renewed again.`);
      }
    } catch (error) {
      // The other mounts may have more luck; this one is tried again at the next look.
      if (!(error instanceof SkyError) || agent.isClosed) throw error;
      this.#options.onError(row.name, error);
      await this.#noteRefusal(row, { mount, error }, to);
    }
  }

  /** Tells the cluster's users, and its jobs, why there are no new keys: looks at the cluster repeat it while that is so. */
  async #noteRefusal(
    row: ClusterRow,
    { mount, error }: { readonly mount: ClusterMountRow; readonly error: SkyError },
    { agent, context }: { readonly agent: AgentPeer; readonly context: CloudContext },
  ): Promise<void> {
    const { dest } = mount;
    const reason = error.message.replace(/\.?$/u, "");
    const refused = `The keys of ${dest} cannot be renewed: ${reason}.`;
    if (mount.refused !== refused) {
      await setMountRefusal(this.#options.db, mount, refused);
      await this.#tell(row, refused);
    }
    await agent.call("lend_keys", { keys: [], refused: [{ dest, reason }] }, { signal: context.signal });
  }

  async #tell(row: ClusterRow, reason: string): Promise<void> {
    const { db } = this.#options;
    await updateCluster(db, row.cluster_hash, { last_event: reason });
    await recordEvent(this.#options, row, { type: "DEBUG", to: row.status, reason });
  }

  /** Whether some node has no keys for the mount, or keys that are past their best. */
  #isDue(row: ClusterRow, spec: MountSpec, states: readonly MountState[]): boolean {
    const lifetime = this.#lifetimes.get(`${row.cluster_hash} ${spec.dest}`);
    const now = this.#options.clock.now();
    return states
      .filter((one) => one.dest === spec.dest)
      .some(({ hasKeys, expiresAtMs }) => {
        if (!hasKeys || expiresAtMs === undefined) return !hasKeys;
        // Of keys that an earlier server gave nobody knows how long they were to live.
        return expiresAtMs - now < (lifetime ?? Number.POSITIVE_INFINITY) * RENEW_SHARE;
      });
  }
}

export function toLentKeys(keys: PlaceKeys["keys"]): LentKeys {
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = keys;
  const issuer = keys.issuer ?? (keys.isUncut === true ? accessKeyId : undefined);
  return {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
    ...(expiration === undefined ? {} : { expiresAtMs: expiration.getTime() }),
    ...(issuer === undefined ? {} : { issuer }),
  };
}

function sessionNameOf(clusterName: string): string {
  return `sky-${clusterName}`.replaceAll(/[^\w+=,.@-]/gu, "-").slice(0, MAX_NAME);
}

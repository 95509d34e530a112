import { orAborted } from "../../../shared/or-aborted.ts";
import type { SecurityGroup } from "@aws-sdk/client-ec2";
import type { Clock } from "../../../shared/clock.ts";
import type { NetworkFacts } from "../preflight/network.ts";
import { findImage, type ImageWish, type NodeImage } from "./images.ts";
import { Kept } from "./kept.ts";
import { readNetwork } from "./network.ts";
import { ownCidr, type FetchText } from "./own-address.ts";
import type { Region } from "./region.ts";
import { ensureProfile, type ProfileAnswer } from "./role.ts";
import { ensureGroup, findGroups, type GroupWish } from "./security-groups.ts";
import type { NodeSettings } from "./settings.ts";

/** Networks, groups and roles seldom change; a launch that trips over a change forgets them and looks again. */
const FACTS_MS = 5 * 60_000;
const IMAGE_MS = 6 * 60 * 60_000;
/** Others may wait for the same look, so it has a limit of its own instead of one caller's signal. */
const LOOK_MS = 60_000;

/** What is known of the places where nodes may be put, by account and region. */
export class Places {
  readonly #networks: Kept<NetworkFacts>;
  readonly #seenGroups: Kept<readonly SecurityGroup[]>;
  readonly #groups: Kept<string>;
  readonly #profiles: Kept<ProfileAnswer>;
  readonly #images: Kept<NodeImage>;
  readonly #addresses: Kept<string>;
  readonly #fetchText: FetchText;

  constructor(clock: Clock, fetchText: FetchText) {
    this.#networks = new Kept(clock, FACTS_MS);
    this.#seenGroups = new Kept(clock, FACTS_MS);
    this.#groups = new Kept(clock, FACTS_MS);
    this.#profiles = new Kept(clock, FACTS_MS);
    this.#images = new Kept(clock, IMAGE_MS);
    this.#addresses = new Kept(clock, FACTS_MS);
    this.#fetchText = fetchText;
  }

  network(region: Region, settings: NodeSettings): Promise<NetworkFacts> {
    const { vpcNames, subnetNames, isInternal, usesSsm } = settings;
    const key = keyOf(region, { vpcNames, subnetNames, isInternal, usesSsm });
    return this.#look(this.#networks, key, region, (shared) => readNetwork(shared, settings));
  }

  profile(region: Region, settings: NodeSettings): Promise<ProfileAnswer> {
    const { identity, usesSsm } = settings;
    // Roles belong to the account; the region only says which partition.
    const key = keyOf({ ...region, name: "" }, { identity, usesSsm });
    return this.#look(this.#profiles, key, region, (shared) => ensureProfile(shared, settings));
  }

  image(region: Region, wish: ImageWish): Promise<NodeImage> {
    return this.#look(this.#images, keyOf(region, wish), region, (shared) => findImage(shared, wish));
  }

  /** The groups of this name, in every VPC. */
  groupsNamed(region: Region, name: string): Promise<readonly SecurityGroup[]> {
    return this.#look(this.#seenGroups, keyOf(region, { name }), region, (shared) => findGroups(shared, [name]));
  }

  /** The group as it is wished, its rules brought in line. */
  group(region: Region, wish: GroupWish): Promise<string> {
    return this.#look(this.#groups, keyOf(region, wish), region, async (shared) =>
      ensureGroup(shared, wish, await this.groupsNamed(region, wish.name)),
    );
  }

  /** The block of the address under which AWS sees this machine. */
  ownCidr(region: Region): Promise<string> {
    return this.#look(this.#addresses, "own", region, (shared) => ownCidr(this.#fetchText, shared.signal));
  }

  /** What was believed of the region turned out wrong. */
  forget(region: Region): void {
    for (const kept of [this.#networks, this.#images]) kept.forgetAll(prefixOf(region));
    this.forgetGroups(region);
  }

  /** One of them is about to be deleted. */
  forgetGroups(region: Region): void {
    for (const kept of [this.#seenGroups, this.#groups]) kept.forgetAll(prefixOf(region));
  }

  async #look<T>(kept: Kept<T>, key: string, region: Region, look: (shared: Region) => Promise<T>): Promise<T> {
    region.signal.throwIfAborted();
    const shared = { ...region, signal: AbortSignal.timeout(LOOK_MS) };
    return orAborted(
      kept.get(key, () => look(shared)),
      region.signal,
    );
  }
}

function prefixOf({ account, name }: Pick<Region, "account" | "name">): string {
  return `${account}\n${name}\n`;
}

function keyOf(region: Pick<Region, "account" | "name">, wish: object): string {
  return prefixOf(region) + JSON.stringify(wish);
}

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { catalogFile, isRefreshed, readRefreshInfo } from "./catalog-files.ts";
import { Catalog, type CatalogOrigin } from "./catalog.ts";
import { parseCatalogCsv } from "./csv.ts";
import { InvalidCatalogError } from "./errors.ts";
import { decodeSnapshot } from "./snapshot-file.ts";
import { withZoneNames, type CatalogTable } from "./table.ts";
import { findZoneNames, readZoneNames } from "./zone-names.ts";

export interface CatalogsOptions {
  /** `~/.sky/catalogs/v8`: files that the user or a refresh put there, in the layout of SkyPilot 0.14.1. */
  readonly directory: string;
  /** Where the bundled snapshots are, one `<cloud>.catalog` each. */
  readonly snapshots: string;
}

/** An account's names for zones by the provider's ids, with what tells them from others. */
interface NamesById {
  readonly stamp: string;
  readonly byId: ReadonlyMap<string, string>;
}

interface Loaded {
  readonly stamp: string;
  readonly table: CatalogTable;
  readonly origin: CatalogOrigin;
  /** Ready views by the stamp of their zone names; "" = as in the file. */
  readonly views: Map<string, Catalog>;
}

/**
 * The catalogs of every cloud: the user's file if there is one, else the refreshed one, else the bundled snapshot. Kept in memory and
 * read again when the file changes.
 */
export class Catalogs {
  readonly #options: CatalogsOptions;
  readonly #loaded = new Map<string, Loaded>();

  constructor(options: CatalogsOptions) {
    this.#options = options;
  }

  /** `~/.sky/catalogs/v8` of this server. */
  get directory(): string {
    return this.#options.directory;
  }

  /** Clouds that have a catalog, alphabetical. */
  clouds(): readonly string[] {
    const bundled = namesIn(this.#options.snapshots).flatMap((name) => /^(.+)\.catalog$/.exec(name)?.[1] ?? []);
    const files = namesIn(this.#options.directory).filter((name) => statOf(this.#csv(name)) !== undefined);
    return [...new Set([...bundled, ...files])].sort();
  }

  /**
   * The cloud's catalog, undefined when nothing is known of it. Zones have the names of `account` (or of the newest mapping when none
   * is given) where its mapping is known, or those of `zoneNames`, by id. @throws InvalidCatalogError for a file that cannot be read
   */
  find(
    cloud: string,
    options: { readonly account?: string; readonly zoneNames?: NamesById } = {},
  ): Catalog | undefined {
    const loaded = this.#load(cloud);
    if (loaded === undefined) return undefined;
    if (options.zoneNames !== undefined) return this.#view(cloud, loaded, options.zoneNames);
    const file = findZoneNames(join(this.#options.directory, cloud), options.account);
    return this.#view(cloud, loaded, file);
  }

  /** The cloud's catalog with the provider's own zone ids, all regions included. */
  findRaw(cloud: string): Catalog | undefined {
    const loaded = this.#load(cloud);
    return loaded === undefined ? undefined : this.#view(cloud, loaded, undefined);
  }

  #view(cloud: string, loaded: Loaded, zones: { path: string; stamp: string } | NamesById | undefined): Catalog {
    const key = zones?.stamp ?? "";
    const ready = loaded.views.get(key);
    if (ready !== undefined) return ready;
    const { origin } = loaded;
    const names = zones === undefined || "byId" in zones ? zones?.byId : readZoneNames(zones.path);
    const table = names === undefined ? loaded.table : withZoneNames(loaded.table, names);
    const view = new Catalog({ cloud, origin, table });
    // A few accounts at most are in use; an old mapping of the same file is of no use any more.
    if (loaded.views.size >= 4) loaded.views.clear();
    loaded.views.set(key, view);
    return view;
  }

  #load(cloud: string): Loaded | undefined {
    const csv = this.#csv(cloud);
    const file = statOf(csv);
    const path = file === undefined ? join(this.#options.snapshots, `${cloud}.catalog`) : csv;
    const stat = file ?? statOf(path);
    if (stat === undefined) return undefined;
    const stamp = `${path}:${stat.mtimeMs}:${stat.size}`;
    const known = this.#loaded.get(cloud);
    if (known?.stamp === stamp) return known;
    const read = file === undefined ? readSnapshot(path) : this.#readCsv(cloud, path, stat.mtimeMs);
    const loaded: Loaded = { stamp, ...read, views: new Map() };
    this.#loaded.set(cloud, loaded);
    return loaded;
  }

  #csv(cloud: string): string {
    return catalogFile(this.#options.directory, cloud);
  }

  #readCsv(cloud: string, path: string, modifiedMs: number): Pick<Loaded, "table" | "origin"> {
    const text = readFileSync(path, "utf8");
    const kind = isRefreshed(this.#options.directory, cloud, text) ? "refreshed file" : "user file";
    const day = new Date(modifiedMs).toISOString().slice(0, 10);
    const info = kind === "user file" ? undefined : readRefreshInfo(this.#options.directory, cloud, text);
    const dates = { onDemand: day, spot: day };
    return { table: parseCatalogCsv(text, path), origin: { kind, path, dates, ...info } };
  }
}

function readSnapshot(path: string): Pick<Loaded, "table" | "origin"> {
  try {
    const { info, table } = decodeSnapshot(readFileSync(path));
    return { table, origin: { kind: "snapshot", path, ...info } };
  } catch (error) {
    throw new InvalidCatalogError(path, "it is damaged; install the product again", { cause: error });
  }
}

function statOf(path: string): { readonly mtimeMs: number; readonly size: number } | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

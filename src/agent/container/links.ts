import { normalize } from "node:path";

/** Synced files that lie in the mounted folder `.sky/file_mounts` and have to appear elsewhere inside of a container. */
export interface ContainerLink {
  /** Absolute or `~/…`, as seen inside. */
  readonly place: string;
  /** Below `.sky/file_mounts`. */
  readonly folder: string;
  /** Whether something that the image has at the place is left alone and refused, instead of added to. */
  readonly isStrict: boolean;
  /** Whether it leads to a mounted bucket: nothing of that is ever copied, and only an empty folder of the image makes room. */
  readonly isMount?: boolean;
}

/** In an order in which what lies in another comes after it. */
export function outerFirst(links: readonly ContainerLink[]): readonly ContainerLink[] {
  return links.toSorted((one, other) => (one.place < other.place ? -1 : 1));
}

/** Below `.sky/file_mounts`: what belongs to HOME inside. No absolute destination can be called so. */
const HOME_FOLDER = ".home";

/** Where a sync's files go on the node, and how they are found inside. Destinations in mounted folders need no link. */
export function containerDestination(dest: string): { readonly dest: string; readonly link?: ContainerLink } {
  const isHome = dest === "~" || dest.startsWith("~/");
  // What leads out of HOME is refused where every destination is looked at.
  if (isHome && /^\.\.(\/|$)/.test(normalize(dest.slice(2)))) return { dest };
  const path = normalize(isHome ? dest.slice(1) : dest).replace(/(?<=.)\/+$/, "");
  if (!isHome && !dest.startsWith("/")) return { dest };
  if (isHome && path === ".") {
    return { dest: `~/.sky/file_mounts/${HOME_FOLDER}`, link: { place: "~/.", folder: HOME_FOLDER, isStrict: false } };
  }
  const isShared = isHome && /^\/(sky_workdir|sky_logs|\.sky\/file_mounts)(\/|$)/.test(path);
  if (isShared || path === "/") return { dest };
  const folder = isHome ? `${HOME_FOLDER}${path}` : path.slice(1);
  const isStrict = !isHome && !path.startsWith("/tmp/");
  return { dest: `~/.sky/file_mounts/${folder}`, link: { place: isHome ? `~${path}` : path, folder, isStrict } };
}

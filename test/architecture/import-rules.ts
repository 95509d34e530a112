import { mayImport, roomOf, rooms, type RoomName } from "./rooms.ts";
import { packageOf, resolveImport, type ImportEdge, type SourceFile } from "./source-files.ts";

function checkPackage(room: RoomName, edge: ImportEdge): string | undefined {
  if (edge.specifier.startsWith("node:")) {
    return rooms[room].node ? undefined : `the room ${room} is pure and may not import ${edge.specifier}`;
  }
  const allowed: readonly string[] = rooms[room].packages;
  const name = packageOf(edge.specifier);
  return allowed.includes(name) ? undefined : `the room ${room} may not import the package ${name}`;
}

function cloudOf(path: string): string | undefined {
  return /^clouds\/([^/]+)\//u.exec(path)?.[1];
}

function checkRelative(file: SourceFile, room: RoomName, edge: ImportEdge): string | undefined {
  const target = resolveImport(file.path, edge.specifier);
  if (target === undefined)
    return edge.specifier.endsWith("package.json") ? undefined : `${edge.specifier} leaves src/`;
  if (!/\.(?:ts|json)$/u.test(target)) return `${edge.specifier} does not name its file with .ts`;
  const to = roomOf(target);
  if (to === undefined) return `${target} is in no room`;
  if (!mayImport(room, to)) return `the room ${room} may not import ${to} (${target})`;
  if (room === "cli" && to === "core/task" && edge.kind === "static") {
    return `cli reaches core/task only by dynamic import() (${target})`;
  }
  const [own, other] = [cloudOf(file.path), cloudOf(target)];
  if (own !== undefined && other !== undefined && own !== other) return `the cloud ${own} may not import ${other}`;
  if (
    own === undefined &&
    other !== undefined &&
    file.path.startsWith("clouds/") &&
    file.path !== "clouds/registry.ts"
  ) {
    return `only clouds/registry.ts names clouds (${target})`;
  }
  return undefined;
}

/** Lists what a file's imports break, one line each. */
export function importViolations(file: SourceFile): string[] {
  const room = roomOf(file.path);
  if (room === undefined) return [`${file.path}: is in no room of test/architecture/rooms.ts`];
  return file.imports.flatMap((edge) => {
    const problem = edge.specifier.startsWith(".") ? checkRelative(file, room, edge) : checkPackage(room, edge);
    return problem === undefined ? [] : [`${file.path}: ${problem}`];
  });
}

/** Everything that loading `entry` evaluates: files under src/ and packages, each with one path that leads there. */
export function loadClosure(
  files: readonly SourceFile[],
  entry: string,
  kinds: readonly ("static" | "dynamic")[],
): Map<string, string> {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const reached = new Map<string, string>([[entry, entry]]);
  const queue = [entry];
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    for (const edge of byPath.get(path)?.imports ?? []) {
      if (edge.kind === "type" || !kinds.includes(edge.kind)) continue;
      const target = edge.specifier.startsWith(".") ? resolveImport(path, edge.specifier) : edge.specifier;
      if (target === undefined || reached.has(target)) continue;
      reached.set(target, `${reached.get(path) ?? path} → ${target}`);
      queue.push(target);
    }
  }
  return reached;
}

/** Says why a file is a barrel (re-exports a folder instead of being imported itself). */
export function barrelProblem(file: SourceFile): string | undefined {
  if (/^[ \t]*export\s+\*/mu.test(file.text)) return `${file.path}: export * makes a barrel`;
  if (/(?:^|\/)index\.ts$/u.test(file.path) && !/^clouds\/[^/]+\/index\.ts$/u.test(file.path)) {
    return `${file.path}: only a cloud's entry may be named index.ts`;
  }
  const code = file.text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gmu, "").trim();
  const rest = code.replaceAll(/export\s+(?:type\s+)?\{[^}]*\}\s*from\s*["'][^"']+["'];?/gu, "").trim();
  // The package's public entry re-exports by its nature.
  return code !== "" && rest === "" && file.path !== "client/sdk.ts"
    ? `${file.path}: consists of re-exports only`
    : undefined;
}

const VAGUE_NAME = /^(?:utils?|misc|common|helpers?|managers?|stuff)(?:\.|-|$)|-(?:utils?|helpers?|manager)\./u;

/** Says what is wrong with a file's name. */
export function nameProblem(file: SourceFile): string | undefined {
  const name = file.path.split("/").at(-1) ?? "";
  // Migrations are `NNNN_what_it_does.ts`: the number orders them.
  if (/^db\/migrations\/[0-9]{4}_[a-z0-9_]+\.ts$/u.test(file.path)) return undefined;
  if (!/^[a-z0-9]+(?:-[a-z0-9]+)*\.ts$/u.test(name)) return `${file.path}: the name is not kebab-case`;
  return VAGUE_NAME.test(name) ? `${file.path}: the name says nothing; name it by what it does` : undefined;
}

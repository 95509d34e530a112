import { expect, it } from "vitest";
import { readRepoFile } from "./source-files.ts";

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
}

/** Package → version of every table row of the page; a row may name several packages with one version each or one for all. */
function documentedVersions(page: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const line of page.split("\n")) {
    const [, names = "", versions = ""] = line.split("|").map((cell) => cell.trim());
    if (!/^\d/u.test(versions)) continue;
    const list = versions.split(", ");
    for (const [index, name] of names.split(", ").entries()) found[name] = list[index] ?? list[0] ?? "";
  }
  return found;
}

const manifest = JSON.parse(readRepoFile("package.json")) as Manifest;

it("docs/dependencies.md lists exactly what package.json has", () => {
  const installed = { ...manifest.devDependencies, ...manifest.optionalDependencies };
  expect(documentedVersions(readRepoFile("docs/dependencies.md"))).toEqual(installed);
});

it("versions are exact and the package has no runtime dependency", () => {
  const versions = Object.values({ ...manifest.devDependencies, ...manifest.optionalDependencies });
  expect(versions.filter((version) => !/^\d+\.\d+\.\d+$/u.test(version))).toEqual([]);
  expect(manifest.dependencies ?? {}).toEqual({});
});

it("no installed package runs an install script", () => {
  const lock = JSON.parse(readRepoFile("package-lock.json")) as {
    packages: Readonly<Record<string, { hasInstallScript?: boolean; optional?: boolean }>>;
  };
  const withScript = Object.entries(lock.packages).filter(([, entry]) => entry.hasInstallScript === true);
  // fsevents is for macOS only and optional; npm skips it elsewhere.
  expect(withScript.map(([path]) => path).filter((path) => path !== "node_modules/fsevents")).toEqual([]);
});

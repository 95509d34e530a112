import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { barrelProblem, importViolations, loadClosure, nameProblem } from "./import-rules.ts";
import { lintConfig } from "./rooms.ts";
import { loadSources, parseImports, readRepoFile, type SourceFile } from "./source-files.ts";

function source(path: string, text: string): SourceFile {
  return { path, text, imports: parseImports(text) };
}

const sources = loadSources();

describe("the sources", () => {
  it("import only what the room table allows", () => {
    expect(sources.length).toBeGreaterThan(10);
    expect(sources.flatMap(importViolations)).toEqual([]);
  });

  it("have no barrel files and telling kebab-case names", () => {
    expect(sources.flatMap((file) => barrelProblem(file) ?? [])).toEqual([]);
    expect(sources.flatMap((file) => nameProblem(file) ?? [])).toEqual([]);
  });

  it("keep every package out of the agent", () => {
    expect(sources.map((file) => file.path)).toContain("agent/main.ts");
    const reached = loadClosure(sources, "agent/main.ts", ["static", "dynamic"]);
    const packages = [...reached].filter(([target]) => !target.endsWith(".ts") && !target.startsWith("node:"));
    expect(packages.map(([, path]) => path)).toEqual([]);
  });

  it("keep zod and YAML out of what starting the CLI loads", () => {
    expect(sources.map((file) => file.path)).toContain("cli/main.ts");
    const reached = loadClosure(sources, "cli/main.ts", ["static"]);
    const heavy = ["zod", "js-yaml", "kysely", "hono", "pg", "pino"].flatMap((name) => reached.get(name) ?? []);
    expect(heavy).toEqual([]);
  });

  it("keep the SDKs of providers out of what listing clouds and stores loads", () => {
    const entries = sources
      .map((file) => file.path)
      .filter((path) => /^(?:clouds|stores)\/\w+\/(?:index|store)\.ts$/u.test(path));
    expect(entries).toContain("clouds/aws/index.ts");
    const reached = entries.flatMap((entry) => [...loadClosure(sources, entry, ["static"])]);
    expect(reached.flatMap(([target, path]) => (target.startsWith("@aws-sdk/") ? [path] : []))).toEqual([]);
  });

  it("agree with .oxlintrc.json, which `npm run lint:config` writes", () => {
    expect(readRepoFile(".oxlintrc.json")).toBe(`${JSON.stringify(lintConfig(), null, 2)}\n`);
  });

  it("hold the entry of every bundle", () => {
    const missing = [...readRepoFile("scripts/build.ts").matchAll(/"(src\/[^"]+\.ts)"/gu)]
      .map((match) => match[1] ?? "")
      .filter((path) => !existsSync(new URL(`../../${path}`, import.meta.url)));
    expect(missing).toEqual([]);
  });
});

describe("parseImports", () => {
  it("tells types, values and dynamic imports apart", () => {
    const text = [
      'import type { A } from "./a.ts";',
      'import { type B, type C } from "./bc.ts";',
      'import { d, type D } from "./d.ts";',
      'export { e } from "../e.ts";',
      'import "./side-effect.ts";',
      'const f = await import("./f.ts");',
      "import {",
      "  g,",
      "  h,",
      '} from "node:fs";',
      "// import { no } from 'commented';",
      "/** import { neither } from 'documented'; */",
    ].join("\n");
    expect(
      parseImports(text)
        .map((edge) => `${edge.kind} ${edge.specifier}`)
        .toSorted(),
    ).toEqual([
      "dynamic ./f.ts",
      "static ../e.ts",
      "static ./d.ts",
      "static ./side-effect.ts",
      "static node:fs",
      "type ./a.ts",
      "type ./bc.ts",
    ]);
  });
});

describe("importViolations", () => {
  it.each([
    ["shared/x.ts", 'import { readFileSync } from "node:fs";', "the room shared is pure and may not import node:fs"],
    ["agent/x.ts", 'import { z } from "zod";', "the room agent may not import the package zod"],
    [
      "core/x.ts",
      'import { c } from "../clouds/registry.ts";',
      "the room core may not import clouds (clouds/registry.ts)",
    ],
    ["core/task/x.ts", 'import { e } from "../effect.ts";', "the room core/task may not import core (core/effect.ts)"],
    [
      "cli/x.ts",
      'import { p } from "../core/task/parse.ts";',
      "cli reaches core/task only by dynamic import() (core/task/parse.ts)",
    ],
    ["cli/x.ts", 'import { s } from "../server/app.ts";', "the room cli may not import server (server/app.ts)"],
    ["clouds/aws/x.ts", 'import { l } from "../local/index.ts";', "the cloud aws may not import local"],
    ["attic/x.ts", "", "is in no room of test/architecture/rooms.ts"],
    ["cli/x.ts", 'import { y } from "./y";', "./y does not name its file with .ts"],
    ["cli/x.ts", 'import { y } from "../../test/y.ts";', "../../test/y.ts leaves src/"],
  ])("refuses in %s: %s", (path, text, problem) => {
    expect(importViolations(source(path, text))).toEqual([`${path}: ${problem}`]);
  });

  it.each([
    ["cli/x.ts", 'const { p } = await import("../core/task/parse.ts");'],
    ["cli/x.ts", 'import type { Dag } from "../core/task/task.ts";'],
    ["core/x.ts", 'import type { Cloud } from "./ports/cloud.ts";'],
    ["clouds/registry.ts", 'const l = () => import("./local/index.ts");'],
    ["core/task/x.ts", 'import type { R } from "../resources/resources.ts";'],
  ])("allows in %s: %s", (path, text) => {
    expect(importViolations(source(path, text))).toEqual([]);
  });
});

describe("loadClosure", () => {
  it("names the way to what it reaches and stops at types", () => {
    const files = [
      source("agent/main.ts", 'import { a } from "./a.ts";\nimport type { W } from "../shared/wire.ts";'),
      source("agent/a.ts", 'const y = () => import("../shared/yaml.ts");'),
      source("shared/yaml.ts", 'import { load } from "js-yaml";'),
      source("shared/wire.ts", 'import { z } from "zod";'),
    ];
    expect(loadClosure(files, "agent/main.ts", ["static"]).has("js-yaml")).toBe(false);
    const all = loadClosure(files, "agent/main.ts", ["static", "dynamic"]);
    expect(all.get("js-yaml")).toBe("agent/main.ts → agent/a.ts → shared/yaml.ts → js-yaml");
    expect(all.has("zod")).toBe(false);
  });
});

describe("barrelProblem and nameProblem", () => {
  it.each([
    ["core/all.ts", 'export * from "./a.ts";', "core/all.ts: export * makes a barrel"],
    ["core/index.ts", "export const a = 1;", "core/index.ts: only a cloud's entry may be named index.ts"],
    [
      "core/all.ts",
      '/** All. */\nexport { a } from "./a.ts";\nexport type { B } from "./b.ts";',
      "core/all.ts: consists of re-exports only",
    ],
  ])("finds the barrel %s", (path, text, problem) => {
    expect(barrelProblem(source(path, text))).toBe(problem);
  });

  it("accepts a cloud's entry and a file with code of its own", () => {
    expect(barrelProblem(source("clouds/local/index.ts", "export const local = {};"))).toBeUndefined();
    expect(barrelProblem(source("core/a.ts", 'export { a } from "./b.ts";\nexport const c = 1;'))).toBeUndefined();
  });

  it("finds vague and misspelt names", () => {
    const bad = ["core/utils.ts", "core/string-helpers.ts", "core/jobManager.ts", "core/common.ts"];
    expect(bad.map((path) => nameProblem(source(path, "")) !== undefined)).toEqual([true, true, true, true]);
    expect(nameProblem(source("core/job-queue.ts", ""))).toBeUndefined();
  });
});

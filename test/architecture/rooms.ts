/** The rooms under src/ and what each may import: the one table behind the lint rules and the import-graph test. */
export interface Room {
  /** Other rooms (path prefixes under src/) that this room may import. */
  readonly rooms: readonly string[];
  /** npm packages that may appear in the room's imports. */
  readonly packages: readonly string[];
  /** Whether `node:` modules may be imported. */
  readonly node: boolean;
}

const ports = "core/ports";
const adapter = ["shared", "platform", ports];
const awsClients = ["ec2", "iam", "s3", "service-quotas", "ssm", "sts"].map((service) => `@aws-sdk/client-${service}`);

export const rooms = {
  // js-yaml only in shared/yaml.ts, the one reader of YAML.
  shared: { rooms: [], packages: ["zod", "js-yaml"], node: false },
  platform: { rooms: ["shared"], packages: ["pino"], node: true },
  client: { rooms: adapter, packages: ["ws"], node: true },
  // The protocol of Session Manager, which the CLI speaks as ssh's ProxyCommand.
  "session-manager": { rooms: ["shared", "platform"], packages: ["ws"], node: true },
  runners: { rooms: adapter, packages: [], node: true },
  stores: { rooms: adapter, packages: ["@aws-sdk/client-s3", "@aws-sdk/s3-request-presigner"], node: true },
  catalog: { rooms: adapter, packages: [], node: true },
  db: { rooms: adapter, packages: ["kysely", "pg", "@electric-sql/pglite"], node: true },
  clouds: { rooms: [...adapter, "runners", "catalog", "session-manager"], packages: awsClients, node: true },
  core: { rooms: ["shared", "platform", "db", "catalog"], packages: ["kysely"], node: true },
  "core/ports": { rooms: ["shared"], packages: [], node: true },
  "core/task": { rooms: ["shared", "core/resources"], packages: ["zod"], node: false },
  "core/resources": { rooms: ["shared"], packages: ["zod"], node: false },
  agent: { rooms: ["shared", "platform"], packages: [], node: true },
  // core/task is reached by dynamic import only; the architecture test checks that.
  cli: {
    rooms: ["shared", "platform", "client", "core/task", "session-manager"],
    packages: ["commander", "@clack/prompts", "yocto-spinner"],
    node: true,
  },
  server: {
    rooms: [
      "shared",
      "platform",
      "client",
      "core",
      "core/ports",
      "core/task",
      "core/resources",
      "clouds",
      "runners",
      "stores",
      "catalog",
      "db",
    ],
    packages: ["hono", "@hono/node-server", "@hono/zod-openapi", "zod", "kysely", "pino", "ws", "jose"],
    node: true,
  },
} as const satisfies Record<string, Room>;

export type RoomName = keyof typeof rooms;

/** Finds the room a path under src/ belongs to (the longest matching prefix); undefined for a path in no room. */
export function roomOf(path: string): RoomName | undefined {
  let best: RoomName | undefined;
  for (const name of Object.keys(rooms) as RoomName[]) {
    if ((path === name || path.startsWith(`${name}/`)) && name.length > (best?.length ?? 0)) best = name;
  }
  return best;
}

/** Says whether code in `from` may import code in `to`. Within a room everything is allowed, core/* may see its parent. */
export function mayImport(from: RoomName, to: RoomName): boolean {
  if (from === to) return true;
  const allowed: readonly string[] = rooms[from].rooms;
  if (allowed.includes(to)) return true;
  // `core` includes its own sub-rooms; a sub-room listed alone does not open its parent.
  return from === "core" && to.startsWith("core/");
}

function restrictions(from: RoomName): { group: string[]; message: string }[] {
  const patterns: { group: string[]; message: string }[] = [];
  for (const to of Object.keys(rooms) as RoomName[]) {
    if (to.includes("/") || to === from || from.startsWith(`${to}/`)) continue;
    if (mayImport(from, to)) continue;
    const open = (Object.keys(rooms) as RoomName[]).filter((sub) => sub.startsWith(`${to}/`) && mayImport(from, sub));
    patterns.push({
      group: [`**/${to}/**`, `!**/shared/${to}/**`, ...open.map((sub) => `!**/${sub}/**`)],
      message: `The room ${from} may not import ${to} (see docs/ARCHITECTURE.md).`,
    });
  }
  if (!rooms[from].node) {
    patterns.push({ group: ["node:*"], message: `The room ${from} is pure: no node: modules.` });
  }
  return patterns;
}

/** Builds the whole oxlint configuration. */
export function lintConfig(): unknown {
  return {
    $schema: "./node_modules/oxlint/configuration_schema.json",
    plugins: ["typescript", "unicorn", "oxc", "import", "vitest"],
    categories: { correctness: "error", suspicious: "error" },
    env: { node: true, es2024: true },
    ignorePatterns: ["dist/**", "node_modules/**", "test/fixtures/**"],
    rules: {
      "typescript/no-explicit-any": "error",
      "typescript/no-non-null-assertion": "error",
      "typescript/no-floating-promises": "error",
      "typescript/only-throw-error": "error",
      "typescript/switch-exhaustiveness-check": "error",
      "typescript/consistent-type-imports": "error",
      "typescript/no-unnecessary-type-assertion": "error",
      "typescript/no-unsafe-type-assertion": "off",
      "typescript/no-unnecessary-condition": "off",
      "typescript/consistent-return": "off",
      "import/no-cycle": "error",
      "import/no-default-export": "error",
      "import/no-unassigned-import": "off",
      "no-console": "error",
      "no-empty": "error",
      "no-await-in-loop": "off",
      "no-control-regex": "off",
      "no-underscore-dangle": "off",
      "no-shadow": "off",
      "require-yield": "off",
      "unicorn/no-array-sort": "off",
      "unicorn/no-array-reverse": "off",
      "unicorn/consistent-function-scoping": "off",
      "unicorn/prefer-add-event-listener": "off",
      "unicorn/require-post-message-target-origin": "off",
      "unicorn/no-await-expression-member": "off",
      "vitest/require-mock-type-parameters": "off",
      "vitest/no-mocks-import": "error",
      "vitest/no-conditional-tests": "off",
      "vitest/no-disabled-tests": "off",
      "vitest/no-conditional-expect": "off",
      "vitest/expect-expect": "off",
      "vitest/no-standalone-expect": "off",
      "vitest/valid-title": "off",
      "vitest/valid-expect": "off",
      "vitest/require-to-throw-message": "off",
      "max-lines": ["error", { max: 400, skipBlankLines: true, skipComments: true }],
      "max-lines-per-function": ["error", { max: 60, skipBlankLines: true, skipComments: true }],
      complexity: ["error", { max: 15 }],
    },
    overrides: [
      { files: ["test/summary-reporter.ts"], rules: { "import/no-default-export": "off" } },
      ...(Object.keys(rooms) as RoomName[]).map((room) => ({
        files: [`src/${room}/**/*.ts`],
        rules: { "no-restricted-imports": ["error", { patterns: restrictions(room) }] },
      })),
      {
        files: ["src/cli/**/*.ts"],
        rules: { "max-lines": ["error", { max: 300, skipBlankLines: true, skipComments: true }] },
      },
      { files: ["src/cli/render/**/*.ts", "scripts/**/*.ts", "bench/**/*.ts"], rules: { "no-console": "off" } },
      { files: ["*.config.ts"], rules: { "import/no-default-export": "off" } },
      {
        files: ["**/*.test.ts", "test/**/*.ts", "bench/**/*.ts", "scripts/**/*.ts"],
        rules: {
          "max-lines": ["error", { max: 600, skipBlankLines: true, skipComments: true }],
          "max-lines-per-function": "off",
          complexity: "off",
          "no-restricted-imports": "off",
        },
      },
    ],
  };
}

/**
 * Writes .oxlintrc.json from the room table, so that the lint rules and the architecture test can never disagree.
 * Run by `npm run lint:config`; `test/architecture/rooms.test.ts` fails when the file is stale.
 */
import { writeFileSync } from "node:fs";
import { lintConfig } from "../test/architecture/rooms.ts";

writeFileSync(new URL("../.oxlintrc.json", import.meta.url), `${JSON.stringify(lintConfig(), null, 2)}\n`);

import type { Migration } from "../migrate.ts";
import { initial } from "./0001_initial.ts";

/** Every migration in order; the last one's name stands in `latest-migration.ts`. */
export const migrations: readonly Migration[] = [initial];

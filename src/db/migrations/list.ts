import type { Migration } from "../migrate.ts";
import { initial } from "./0001_initial.ts";
import { shareLargeResults } from "./0002_share_large_results.ts";
import { countClusterChanges } from "./0003_count_cluster_changes.ts";
import { lockClusters } from "./0004_lock_clusters.ts";
import { chargeClusters } from "./0006_charge_clusters.ts";
import { addNodeWish } from "./0007_add_node_wish.ts";
import { addStorage } from "./0008_add_storage.ts";
import { rememberRefusals } from "./0009_remember_refusals.ts";
import { addClusterMounts } from "./0010_add_cluster_mounts.ts";
import { keepRefusedKeys } from "./0011_keep_refused_keys.ts";
import { keepReplacedMounts } from "./0012_keep_replaced_mounts.ts";

/** Every migration in order; the last one's name stands in `latest-migration.ts`. */
export const migrations: readonly Migration[] = [
  initial,
  shareLargeResults,
  countClusterChanges,
  lockClusters,
  chargeClusters,
  addNodeWish,
  addStorage,
  rememberRefusals,
  addClusterMounts,
  keepRefusedKeys,
  keepReplacedMounts,
];

/** Name of the newest migration. Kept apart from the list so that a start with an up-to-date schema loads no migration. */
export const LATEST_MIGRATION = "0012_keep_replaced_mounts";

import { join } from "node:path";

/** Directory with the unpacked files of one upload. */
export function blobDirectory(root: string, blob: { readonly userId: string; readonly blobId: string }): string {
  return join(root, blob.userId, blob.blobId);
}

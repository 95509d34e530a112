/** Waits until a state holds. Throws when it does not within the time. */
export async function waitFor(
  what: string,
  predicate: () => boolean | Promise<boolean>,
  options: { readonly timeoutMs?: number } = {},
): Promise<void> {
  const deadline = performance.now() + (options.timeoutMs ?? 90_000);
  while (!(await predicate())) {
    if (performance.now() > deadline) throw new Error(`Waited in vain for ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

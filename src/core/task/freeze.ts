/** A frozen copy without the fields that are undefined, so that printed and compared tasks show only what is set. */
export function freezePresent<T extends object>(fields: T): T {
  return Object.freeze(Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))) as T;
}
